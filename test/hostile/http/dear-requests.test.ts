/** Small requests of strangers that would buy much work, or an error that looks like the server's own. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tellStory } from '../../http/token/story.ts';
import { newAddress, openHouse, postForm, type TestHouse, testAdminToken } from '../../support/house.ts';
import { expectRefused } from './refused.ts';

let house: TestHouse;
let svid: string;
beforeAll(async () => {
  const story = await tellStory();
  house = await openHouse(story.documents);
  svid = await story.svid();
});
afterAll(() => house.close());

const askAgentless = (payload: string) =>
  house.app.inject({
    method: 'POST',
    url: '/api/v1/token',
    remoteAddress: newAddress(),
    headers: { authorization: `Bearer ${svid}`, 'content-type': 'application/json' },
    payload,
  });
const malformed = { status: 400, error: 'invalid_request', reason: 'request.malformed' };

describe('POST /api/v1/token', () => {
  it('permits the same request without the attack', async () => {
    expect((await askAgentless('{"audience":"alpha","scope":["alpha"]}')).statusCode).toBe(200);
    expect((await askAgentless('{"audience":"alpha","additional_claims":{}}')).statusCode).toBe(200);
  });

  // A recursive schema overflows the stack, which would be a 500 that anyone can cause.
  it.each([100, 5_000, 30_000])('refuses claims nested %i deep before it looks at them', async (depth) => {
    const nested = `${'['.repeat(depth)}${']'.repeat(depth)}`;
    const response = await askAgentless(`{"additional_claims":{"deep":${nested}}}`);
    await expectRefused(house, response, malformed, [svid]);
  });

  // Each wrong entry would become an issue of the schema: 30 ms of every caller's time for one request.
  it('refuses a list of 32000 scopes by its length, before it looks at one', async () => {
    const response = await askAgentless(`{"scope":[${'1,'.repeat(31_999)}1]}`);
    const refusal = { status: 400, error: 'invalid_scope', reason: 'request.scope_malformed' };
    await expectRefused(house, response, refusal, [svid]);
  });

  it('refuses a member name that would reach into every object', async () => {
    for (const [name, reason] of [
      ['__proto__', 'request.malformed'],
      ['constructor', 'request.unknown_parameter'],
    ] as const) {
      const response = await askAgentless(`{"${name}":{"prototype":{"audience":"alpha"}}}`);
      await expectRefused(house, response, { ...malformed, reason }, [svid]);
    }
    expect({}).not.toHaveProperty('audience');
  });
});

describe('a JSON body', () => {
  const twice = [
    ['audience', '{"audience":"alpha","audience":"alpha"}'],
    ['an escaped audience', '{"audience":"alpha","audienc\\u0065":"beta"}'],
    ['a member within a member', '{"audience":"alpha","additional_claims":{"a":1,"a":1}}'],
  ];
  it.each(twice)('of a token request is refused where it names %s twice', async (_what, payload) => {
    await expectRefused(house, await askAgentless(payload), malformed, [svid]);
  });

  it('of a token request may begin with a byte order mark', async () => {
    expect((await askAgentless('\ufeff{"audience":"alpha"}')).statusCode).toBe(200);
  });

  it('of an admin is refused where it names a member twice, and changes nothing', async () => {
    const put = (payload: string) =>
      house.app.inject({
        method: 'PUT',
        url: '/admin/v1/policy?dryRun=true',
        headers: { authorization: `Bearer ${testAdminToken}`, 'content-type': 'application/json' },
        payload,
      });
    expect((await put('{"documents":[]}')).statusCode).toBe(200);
    const response = await put('{"documents":[],"documents":[]}');
    expect([response.statusCode, response.json().type]).toEqual([
      400,
      'urn:mintmark:problem:malformed-request',
    ]);
    expect(await house.eventOf(response.json().request_id)).toMatchObject({ reason: 'request.malformed' });
  });
});

describe('POST /oauth/token', () => {
  const form = () => ({
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
    client_assertion: svid,
    audience: 'alpha',
  });
  const others = (count: number) => Array.from({ length: count }, (_, index) => [`other${index}`, 'x']);

  it('permits parameters that it does not know, refuses thousands of them by their number', async () => {
    const permitted = await postForm(house.app, { ...form(), ...Object.fromEntries(others(50)) });
    expect(permitted.statusCode).toBe(200);
    const response = await postForm(house.app, { ...form(), ...Object.fromEntries(others(4_000)) });
    await expectRefused(house, response, malformed, [svid]);
  });

  it('refuses a body that is larger than any request needs', async () => {
    const response = await postForm(house.app, { ...form(), padding: 'x'.repeat(70_000) });
    const refusal = { status: 413, error: 'invalid_request', reason: 'request.too_large' };
    await expectRefused(house, response, refusal, [svid]);
  });
});

describe('what nobody asked for', () => {
  it.each([
    ['POST', '/nowhere', '{'],
    ['POST', '/docs', '{'],
    ['QUERY', '/oauth/token', '{'],
    ['GET', '/%zz?client_assertion=canary-in-the-url', undefined],
    ['POST', '/oauth/token%zz?client_assertion=canary-in-the-url', '{}'],
    ['GET', `/admin/v1/audit-events/${'canary-in-the-url'.repeat(16)}`, undefined],
  ] as const)('%s %.30s is the caller’s failure, quoted nowhere', async (method, url, payload) => {
    const response = await house.app.inject({
      method: method as 'GET',
      url,
      headers: { 'content-type': 'application/json' },
      ...(payload === undefined ? {} : { payload }),
    });
    expect(response.statusCode).toBeGreaterThanOrEqual(400);
    expect(response.statusCode).toBeLessThan(500);
    expect(response.json()).toEqual({
      error: 'invalid_request',
      request_id: response.headers['x-request-id'],
    });
    expect(house.log()).not.toContain('canary-in-the-url');
    expect(house.log()).not.toContain('"level":50');
  });
});
