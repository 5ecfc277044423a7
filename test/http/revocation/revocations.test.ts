/** `/admin/v1/revocations`: by jti, identity, issuer and key; what then happens to tokens, old and new. */
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openHouse, postForm, type TestHouse } from '../../support/house.ts';
import { testNowMillis } from '../../support/tokens.ts';
import { callAdmin } from '../admin/admin-calls.ts';
import { gate, introspect, orders, tellRevocationStory } from './story.ts';

let story: Awaited<ReturnType<typeof tellRevocationStory>>;
let house: TestHouse;
let gateToken: string;
beforeEach(async () => {
  story = await tellRevocationStory();
  house = await openHouse(story.documents);
  gateToken = await story.introspectorToken(house.app);
});
afterEach(() => house.close());

const revoke = (body: object) =>
  callAdmin(house.app, '/revocations', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    payload: JSON.stringify(body),
  });
const isActive = async (token: string) => (await introspect(house.app, gateToken, token)).active;
const askAgain = async (who = orders) =>
  postForm(house.app, {
    grant_type: 'client_credentials',
    ...(await story.assertion(who)),
    audience: 'alpha',
    scope: 'alpha',
  });
const iso = (millis: number) => new Date(millis).toISOString();

describe('revoking', () => {
  it('an identity ends its tokens, and refuses it new ones until then', async () => {
    const [token, other] = [
      await story.token(house.app),
      await story.token(house.app, 'alpha', 'alpha', gate),
    ];
    const notUntil = testNowMillis + 3_600_000;
    const made = await revoke({ identity: orders, not_until: iso(notUntil), reason: 'a leak' });
    expect([made.statusCode, made.json()]).toEqual([
      201,
      {
        id: 1,
        kind: 'identity',
        target: orders,
        before: iso(notUntil),
        at: iso(testNowMillis),
        author: 'bootstrap',
        reason: 'a leak',
        expires_at: iso(notUntil + 86_460_000),
      },
    ]);
    expect(await house.eventOf(String(made.headers['x-request-id']))).toMatchObject({
      outcome: 'permitted',
      action: 'admin.revocations.make',
      actor: 'bootstrap',
      summary: `revoked identity ${orders}, not until ${iso(notUntil)}: a leak`,
    });
    expect([await isActive(token), await isActive(other)]).toEqual([false, true]);
    const refused = await askAgain();
    expect([refused.statusCode, refused.json().error]).toEqual([400, 'unauthorized_client']);
    expect(await house.eventOf(refused.json().request_id)).toMatchObject({
      outcome: 'refused',
      reason: 'policy.identity_revoked',
      identity: orders,
    });
    expect((await askAgain(gate)).statusCode).toBe(200);
    // The last word stands: without not_until the identity may come back, and its old tokens may not.
    await revoke({ identity: orders });
    expect((await askAgain()).json().error).toBe('unauthorized_client');
    house.clock.set(testNowMillis + 1_000);
    const again = await askAgain();
    expect(again.statusCode).toBe(200);
    expect([await isActive(again.json().access_token), await isActive(token)]).toEqual([true, false]);
  });

  it.each([
    ['a TrustDomain', 'prod.test'],
    ['a TrustDomain by its kind', 'TrustDomain/prod.test'],
  ])('%s ends the tokens of its workloads', async (_name, issuer) => {
    const token = await story.token(house.app);
    expect(await isActive(token)).toBe(true);
    expect((await revoke({ issuer })).json()).toMatchObject({
      kind: 'issuer',
      target: 'TrustDomain/prod.test',
    });
    const refused = await askAgain();
    expect((await house.eventOf(refused.json().request_id)).reason).toBe('policy.identity_revoked');
    house.clock.set(testNowMillis + 1_000);
    gateToken = await story.introspectorToken(house.app); // its own was ended too
    expect([await isActive(token), (await askAgain()).statusCode]).toEqual([false, 200]);
  });

  it('an Issuer ends the tokens of whatever it could vouch for, and no others', async () => {
    const ask = async () =>
      postForm(house.app, {
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: await story.platformToken(),
        audience: 'alpha',
      });
    const [platform, other] = [(await ask()).json().access_token, await story.token(house.app)];
    expect(await isActive(platform)).toBe(true);
    await revoke({ issuer: 'cluster' });
    expect([await isActive(platform), await isActive(other)]).toEqual([false, true]);
    expect((await house.eventOf((await ask()).json().request_id)).reason).toBe('policy.identity_revoked');
  });

  it('a token by its jti ends that one', async () => {
    const [token, other] = [await story.token(house.app), await story.token(house.app)];
    expect((await revoke({ jti: decodeJwt(token).jti })).statusCode).toBe(201);
    expect([await isActive(token), await isActive(other)]).toEqual([false, true]);
  });

  it('a key that still signs is refused, and one that is gone is not', async () => {
    const token = await story.token(house.app);
    const refused = await revoke({ key: decodeProtectedHeader(token).kid });
    expect([refused.statusCode, refused.json().detail]).toEqual([
      400,
      'key: signs now, or will: rotate the keys first',
    ]);
    expect(await isActive(token)).toBe(true);
    expect((await revoke({ key: 'gone' })).json()).toMatchObject({ kind: 'key', target: 'gone' });
  });

  it.each([
    ['nothing', {}],
    ['two things', { jti: 'a', key: 'b' }],
    ['what is no SPIFFE ID', { identity: 'orders' }],
    ['an issuer that there is not', { issuer: 'nobody' }],
    ['a jti with a space', { jti: 'a b' }],
    ['a token not until', { jti: 'a', not_until: '2027-01-01T00:00:00Z' }],
    ['not until the past', { identity: orders, not_until: '2020-01-01T00:00:00Z' }],
    ['not until ten years on', { identity: orders, not_until: '2036-01-01T00:00:00Z' }],
    ['another word', { identity: orders, reasons: 'x' }],
  ])('%s is refused', async (_name, body) => {
    const response = await revoke(body);
    expect([response.statusCode, response.json().type]).toEqual([
      400,
      'urn:mintmark:problem:malformed-request',
    ]);
    expect((await callAdmin(house.app, '/revocations')).json()).toEqual({ revocations: [] });
  });
});

describe('the list', () => {
  it('has what is in force, the latest first, page by page', async () => {
    for (const jti of ['a', 'b', 'c']) await revoke({ jti });
    await revoke({ identity: orders });
    const list = async (query = '') => (await callAdmin(house.app, `/revocations${query}`)).json();
    const targets = (page: { revocations: { target: string }[] }) =>
      page.revocations.map(({ target }) => target);
    expect(targets(await list())).toEqual([orders, 'c', 'b', 'a']);
    const first = await list('?limit=3');
    expect(targets(first)).toEqual([orders, 'c', 'b']);
    const last = await list(`?limit=3&cursor=${first.next_cursor}`);
    expect([targets(last), last.next_cursor]).toEqual([['a'], undefined]);
    expect(targets(await list('?kind=identity'))).toEqual([orders]);
    expect(targets(await list('?target=b'))).toEqual(['b']);
    const wrong = await callAdmin(house.app, '/revocations?cursor=x');
    expect([wrong.statusCode, wrong.json().detail]).toEqual([
      400,
      'cursor: send next_cursor of a page as it was given',
    ]);
  });
});

it('explain says what the exchange does', async () => {
  await revoke({ identity: orders });
  const ask = async (spiffeId: string) =>
    (
      await callAdmin(house.app, '/explain', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        payload: JSON.stringify({ spiffe_id: spiffeId, request: { audience: 'alpha', scope: 'alpha' } }),
      })
    ).json();
  expect(await ask(orders)).toMatchObject({ outcome: 'refused', reason: 'policy.identity_revoked' });
  expect(await ask(gate)).toMatchObject({ outcome: 'permitted' });
});
