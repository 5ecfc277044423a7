/** Each refusal beside a permitted twin: our reason for the admin, the RFC's word and a fixed sentence for the client, no secret anywhere. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { newAddress, openHouse, postForm, type TestHouse, testIssuer } from '../../support/house.ts';
import { signToken, times } from '../../support/tokens.ts';
import { clusterIssuer, orders, tellStory } from './story.ts';

const jwtBearer = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const jwtSpiffe = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe';
const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';

let story: Awaited<ReturnType<typeof tellStory>>;
let house: TestHouse;
let svid: string;
beforeAll(async () => {
  story = await tellStory();
  house = await openHouse(story.documents);
});
beforeEach(async () => {
  svid = await story.svid();
});
afterAll(() => house.close());

const asClient = (token: string, more: Record<string, string> = {}) => ({
  grant_type: 'client_credentials',
  client_assertion_type: jwtSpiffe,
  client_assertion: token,
  audience: 'alpha',
  ...more,
});

const agentless = (
  payload: string | object | undefined,
  headers: Record<string, string>,
  url = '/api/v1/token',
) =>
  house.app.inject({
    method: 'POST',
    url,
    remoteAddress: newAddress(),
    headers,
    ...(payload ? { payload } : {}),
  });

/** Asserts the whole public answer, and that the event behind its `request_id` has the reason. */
async function expectRefusal(
  response: Awaited<ReturnType<typeof postForm>>,
  expected: { status: number; error: string; reason: string },
) {
  const body = response.json();
  expect([response.statusCode, body.error]).toEqual([expected.status, expected.error]);
  expect(Object.keys(body).sort()).toEqual(['error', 'error_description', 'error_uri', 'request_id']);
  expect(body.error_uri).toBe(`${testIssuer}/docs#${expected.error}`);
  expect(body.error_description).toMatch(/^[A-Z][ -~]{10,200}\.$/);
  expect(response.headers['cache-control']).toBe('no-store');
  expect(response.headers['x-request-id']).toBe(body.request_id);
  const event = await house.eventOf(body.request_id);
  expect(event).toMatchObject({ reason: expected.reason, error_code: expected.error });
  return event;
}

describe('a permitted request', () => {
  it('gets exactly what RFC 6749 §5.1 names', async () => {
    const response = await postForm(house.app, asClient(svid, { scope: 'profile alpha' }));
    expect(response.statusCode).toBe(200);
    expect(response.json()).toEqual({
      access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      token_type: 'Bearer',
      expires_in: 300,
      scope: 'profile alpha',
    });
    expect(response.headers).toMatchObject({
      'cache-control': 'no-store',
      'content-length': expect.any(String),
    });
  });

  it('gets issued_token_type from a token exchange, and no scope where none is granted', async () => {
    const response = await postForm(house.app, {
      grant_type: exchangeGrant,
      subject_token: svid,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      audience: 'alpha',
    });
    expect(response.json()).toEqual({
      access_token: expect.any(String),
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
      expires_in: 300,
    });
  });

  it('gets the default target and the default scopes where it names none', async () => {
    expect((await agentless(undefined, { authorization: svid })).statusCode).toBe(200);
    const token = await story.platformToken();
    const response = await agentless({ audience: 'alpha' }, { authorization: `Bearer ${token}` });
    expect(response.json()).toMatchObject({ scope: 'profile', expires_in: 120 });
  });

  it('is recorded with everything but the token', async () => {
    const response = await postForm(house.app, asClient(svid, { scope: 'alpha' }));
    const event = await house.eventOf(String(response.headers['x-request-id']));
    expect(event).toMatchObject({
      outcome: 'permitted',
      lane: 'client_assertion',
      identity: orders,
      trust_domain: 'prod.test',
      credential_kind: 'jwt-svid',
      resource: 'alpha',
      scopes: ['alpha'],
      grants: ['orders-alpha'],
      jti: expect.any(String),
      token_hash: expect.any(String),
    });
    expect(JSON.stringify(event)).not.toContain(response.json().access_token.split('.')[2]);
  });
});

describe('credentials that do not prove what they should', () => {
  it.each([
    ['client_credentials', 401, 'invalid_client', (token: string) => asClient(token)],
    [
      'jwt-bearer',
      400,
      'invalid_grant',
      (token: string) => ({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: token }),
    ],
    [
      'token-exchange',
      400,
      'invalid_request',
      (token: string) => ({
        grant_type: exchangeGrant,
        subject_token: token,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      }),
    ],
  ])('are refused on %s with the code that its RFC names', async (_name, status, error, form) => {
    const forged = await signToken(story.strangerKey, { sub: orders, aud: testIssuer, ...times(300) });
    await expectRefusal(await postForm(house.app, form(forged)), {
      status,
      error,
      reason: 'credential.signature_invalid',
    });
  });

  it('are refused on the agentless endpoint with a challenge', async () => {
    const response = await agentless({ audience: 'alpha' }, { authorization: 'Bearer not.a.token' });
    await expectRefusal(response, { status: 401, error: 'invalid_token', reason: 'credential.malformed' });
    expect(response.headers['www-authenticate']).toBe('Bearer error="invalid_token"');
  });

  it('are refused where the type that is declared is not theirs', async () => {
    const token = await story.platformToken();
    const accepted = await postForm(house.app, asClient(token, { client_assertion_type: jwtBearer }));
    expect(accepted.statusCode).toBe(200);
    await expectRefusal(await postForm(house.app, asClient(token)), {
      status: 401,
      error: 'invalid_client',
      reason: 'credential.type_mismatch',
    });
  });

  it('blame the client assertion, not the subject token, when it is the bad one', async () => {
    const form = {
      grant_type: exchangeGrant,
      subject_token: svid,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      client_assertion_type: jwtSpiffe,
      audience: 'alpha',
    };
    expect((await postForm(house.app, { ...form, client_assertion: svid })).statusCode).toBe(200);
    await expectRefusal(await postForm(house.app, { ...form, client_assertion: `${svid}x` }), {
      status: 401,
      error: 'invalid_client',
      reason: 'credential.malformed',
    });
  });
});

describe('identities that do not match', () => {
  it('refuses a client that exchanges the subject token of another', async () => {
    const form = {
      grant_type: exchangeGrant,
      subject_token: await story.svid('spiffe://prod.test/other'),
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      client_assertion_type: jwtSpiffe,
      client_assertion: svid,
      audience: 'alpha',
    };
    expect((await postForm(house.app, { ...form, subject_token: svid })).statusCode).toBe(200);
    await expectRefusal(await postForm(house.app, form), {
      status: 400,
      error: 'unauthorized_client',
      reason: 'policy.delegation_not_permitted',
    });
  });

  it('refuses a client_id that names somebody else, and takes one that names the caller', async () => {
    expect((await postForm(house.app, asClient(svid, { client_id: orders }))).statusCode).toBe(200);
    const response = await postForm(house.app, asClient(svid, { client_id: 'spiffe://prod.test/other' }));
    await expectRefusal(response, {
      status: 401,
      error: 'invalid_client',
      reason: 'request.client_id_mismatch',
    });
  });

  it.each([
    ['a client', async () => asClient(svid, { client_id: 'spiffe://prod.test/other' })],
    [
      'a subject without a client',
      async () => ({
        grant_type: exchangeGrant,
        subject_token: svid,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        client_id: 'spiffe://prod.test/other',
      }),
    ],
    [
      'a subject with an actor and without a client',
      async () => ({
        grant_type: exchangeGrant,
        subject_token: svid,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        actor_token: svid,
        actor_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      }),
    ],
  ])('names %s that it refuses after its credential held', async (_who, form) => {
    const response = await postForm(house.app, await form());
    expect(await house.eventOf(response.json().request_id)).toMatchObject({
      outcome: 'refused',
      identity: orders,
    });
  });
});

describe('policy', () => {
  it.each([
    ['a target that does not exist', { audience: 'gamma' }, 400, 'invalid_target', 'policy.unknown_resource'],
    ['a target without a grant', { audience: 'beta' }, 400, 'invalid_target', 'policy.no_grant'],
    [
      'a scope beyond the grant',
      { scope: 'alpha admin' },
      400,
      'invalid_scope',
      'policy.scope_not_permitted',
    ],
  ])('refuses %s', async (_name, more, status, error, reason) => {
    const event = await expectRefusal(await postForm(house.app, asClient(svid, more)), {
      status,
      error,
      reason,
    });
    expect(event).toMatchObject({ outcome: 'refused', identity: orders });
  });

  it('answers alike whether a target is unknown or not granted', async () => {
    const [unknown, ungranted] = await Promise.all(
      ['gamma', 'beta'].map(async (audience) =>
        (await postForm(house.app, asClient(svid, { audience }))).json(),
      ),
    );
    expect({ ...unknown, request_id: '' }).toEqual({ ...ungranted, request_id: '' });
  });

  it('refuses a caller without a default target that names none', async () => {
    const response = await agentless({}, { authorization: await story.platformToken() });
    await expectRefusal(response, {
      status: 400,
      error: 'invalid_target',
      reason: 'policy.no_default_target',
    });
  });

  it('accepts a one-time credential once', async () => {
    const token = await signToken(story.clusterKey, {
      iss: 'https://once.test',
      sub: 'job-1',
      aud: testIssuer,
      jti: 'one',
      ...times(300),
    });
    expect((await agentless({ audience: 'alpha' }, { authorization: token })).statusCode).toBe(200);
    const again = await agentless({ audience: 'alpha' }, { authorization: token });
    await expectRefusal(again, { status: 401, error: 'invalid_token', reason: 'credential.replayed' });
  });
});

describe('requests that cannot be read', () => {
  it('refuses JSON on the form endpoint, and a form on the JSON endpoint', async () => {
    const json = { method: 'POST', remoteAddress: newAddress() } as const;
    const onForm = await house.app.inject({
      ...json,
      url: '/oauth/token',
      payload: { grant_type: 'client_credentials' },
    });
    await expectRefusal(onForm, { status: 400, error: 'invalid_request', reason: 'request.content_type' });
    const onJson = await agentless('a=b', {
      authorization: svid,
      'content-type': 'application/x-www-form-urlencoded',
    });
    await expectRefusal(onJson, { status: 400, error: 'invalid_request', reason: 'request.content_type' });
  });

  it('refuses a missing body, broken JSON, unknown members and prototype poison', async () => {
    const missing = await house.app.inject({
      method: 'POST',
      url: '/oauth/token',
      remoteAddress: newAddress(),
    });
    await expectRefusal(missing, { status: 400, error: 'invalid_request', reason: 'request.content_type' });
    const headers = { authorization: svid, 'content-type': 'application/json' };
    for (const [payload, reason] of [
      ['{"audience"', 'request.malformed'],
      ['[]', 'request.malformed'],
      ['{"audience":7}', 'request.malformed'],
      ['{"audience":"alpha","aud":"beta"}', 'request.unknown_parameter'],
      ['{"__proto__":{"audience":"alpha"}}', 'request.malformed'],
    ] as const) {
      await expectRefusal(await agentless(payload, headers), {
        status: 400,
        error: 'invalid_request',
        reason,
      });
    }
  });

  it('refuses a query string on either endpoint', async () => {
    const query = await house.app.inject({
      method: 'POST',
      url: `/oauth/token?client_assertion=${svid}`,
      remoteAddress: newAddress(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams(asClient(svid)).toString(),
    });
    await expectRefusal(query, { status: 400, error: 'invalid_request', reason: 'request.query_parameters' });
    const onJson = await agentless({}, { authorization: svid }, '/api/v1/token?audience=alpha');
    await expectRefusal(onJson, {
      status: 400,
      error: 'invalid_request',
      reason: 'request.query_parameters',
    });
  });

  it('refuses a body beyond 64 KiB and takes one below', async () => {
    const below = await postForm(house.app, asClient(svid, { padding: 'x'.repeat(60 * 1024) }));
    expect(below.statusCode).toBe(200);
    const beyond = await postForm(house.app, asClient(svid, { padding: 'x'.repeat(65 * 1024) }));
    await expectRefusal(beyond, { status: 413, error: 'invalid_request', reason: 'request.too_large' });
  });

  it('refuses a token beyond 16 KiB', async () => {
    const large = await postForm(house.app, asClient(`${svid}${'x'.repeat(17 * 1024)}`));
    await expectRefusal(large, { status: 401, error: 'invalid_client', reason: 'credential.malformed' });
  });

  it.each([
    ['nothing', {}],
    ['a scheme alone', { authorization: 'Bearer ' }],
    ['another scheme', { authorization: 'Basic eDp5' }],
    ['two tokens', { authorization: 'Bearer a b' }],
  ])('refuses an Authorization header with %s', async (_name, headers) => {
    const response = await agentless({ audience: 'alpha' }, headers as Record<string, string>);
    await expectRefusal(response, {
      status: 401,
      error: 'invalid_token',
      reason: 'request.credential_missing',
    });
    expect(response.headers['www-authenticate']).toBe('Bearer');
  });

  it('names the scheme that a client with a secret tried', async () => {
    const { client_assertion: _left, ...form } = asClient(svid);
    const response = await postForm(house.app, form, { authorization: 'Basic eDp5' });
    await expectRefusal(response, {
      status: 401,
      error: 'invalid_client',
      reason: 'request.client_authentication_unsupported',
    });
    expect(response.headers['www-authenticate']).toBe('Basic realm="mintmark"');
  });
});

describe('strangers', () => {
  it('are recorded up to a cap by address, and then neither recorded nor told more than 429', async () => {
    const capped = await openHouse(story.documents);
    try {
      const post = (token: string, remoteAddress: string) =>
        capped.app.inject({
          method: 'POST',
          url: '/api/v1/token',
          remoteAddress,
          headers: { authorization: token },
        });
      for (let count = 0; count < 120; count++) expect((await post('x', '192.0.2.1')).statusCode).toBe(401);
      const beyond = await post('x', '192.0.2.1');
      expect(beyond.statusCode).toBe(429);
      expect(beyond.json()).toMatchObject({ error: 'temporarily_unavailable' });
      expect(beyond.headers['retry-after']).toBe('60');
      await expect(capped.eventOf(beyond.json().request_id)).rejects.toThrow('no audit event');
      expect((await post('x', '192.0.2.2')).statusCode).toBe(401); // another address is another count
      expect((await post(await story.svid(), '192.0.2.1')).statusCode).toBe(200); // a proven caller is not a stranger
    } finally {
      await capped.close();
    }
  });
});

it('writes no credential to any log', async () => {
  const token = await story.platformToken({ iss: clusterIssuer });
  await postForm(house.app, asClient(token, { scope: '"' }));
  await agentless({ audience: 'gamma' }, { authorization: token });
  const minted = await agentless({ audience: 'alpha' }, { authorization: token });
  expect(minted.statusCode).toBe(200);
  const log = house.log();
  expect(log).toContain('token request refused');
  for (const secret of [token, svid, minted.json().access_token]) {
    for (const part of secret.split('.')) expect(log).not.toContain(part.slice(0, 40));
  }
});
