/** `POST /oauth/revoke` (RFC 7009): who may end which token, and what everybody reads. */
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openHouse, type TestHouse, testAdminToken } from '../../support/house.ts';
import { signToken, testNowMillis, testNowSeconds } from '../../support/tokens.ts';
import { adminToken } from '../admin/admin-story.ts';
import { bearer, gate, introspect, orders, post, tellRevocationStory } from './story.ts';

let story: Awaited<ReturnType<typeof tellRevocationStory>>;
let house: TestHouse;
let gateToken: string;
beforeAll(async () => {
  story = await tellRevocationStory();
  house = await openHouse(story.documents);
  gateToken = await story.introspectorToken(house.app);
});
afterAll(() => house.close());

const isActive = async (token: string) => (await introspect(house.app, gateToken, token)).active;
const eventOf = (response: { headers: Record<string, unknown> }) =>
  house.eventOf(String(response.headers['x-request-id']));

describe('a workload', () => {
  it('ends its own token, and that one alone', async () => {
    const [token, other] = [await story.token(house.app), await story.token(house.app)];
    expect([await isActive(token), await isActive(other)]).toEqual([true, true]);
    const response = await post(house.app, '/oauth/revoke', { token, ...(await story.assertion()) });
    expect([response.statusCode, response.body, response.headers['cache-control']]).toEqual([
      200,
      '',
      'no-store',
    ]);
    expect([await isActive(token), await isActive(other)]).toEqual([false, true]);
    const { jti } = decodeJwt(token);
    expect(await eventOf(response)).toMatchObject({
      outcome: 'permitted',
      action: 'token.revoke',
      actor: orders,
      identity: orders,
      jti,
      summary: `revoked token ${jti}`,
    });
  });

  it('is told 200 also of a token that is over, revoked, or none, whatever the hint says', async () => {
    const token = await story.token(house.app);
    for (const [sent, summary] of [
      [token, /^revoked token/],
      [token, 'nothing to revoke: token.revoked'],
      ['not a token', 'nothing to revoke: token.malformed'],
      [`${token.slice(0, -8)}AAAAAAAA`, 'nothing to revoke: token.signature_invalid'],
    ] as const) {
      const form = { token: sent, token_type_hint: 'refresh_token', ...(await story.assertion()) };
      const response = await post(house.app, '/oauth/revoke', form);
      expect([response.statusCode, response.body]).toEqual([200, '']);
      expect((await eventOf(response)).summary).toEqual(
        typeof summary === 'string' ? summary : expect.stringMatching(summary),
      );
    }
  });

  it('is refused for the token of another, which stays good', async () => {
    const token = await story.token(house.app);
    const response = await post(house.app, '/oauth/revoke', { token, ...(await story.assertion(gate)) });
    expect([response.statusCode, response.json().error]).toEqual([400, 'unauthorized_client']);
    expect(await eventOf(response)).toMatchObject({ outcome: 'refused', reason: 'policy.token_not_own' });
    expect(await isActive(token)).toBe(true);
  });

  it('learns that a token of another type cannot be revoked', async () => {
    const form = { token: await story.svid(), ...(await story.assertion()) };
    const response = await post(house.app, '/oauth/revoke', form);
    expect([response.statusCode, response.json().error]).toEqual([400, 'unsupported_token_type']);
    expect((await eventOf(response)).reason).toBe('request.token_type_irrevocable');
  });

  it.each([
    ['without a token', async () => story.assertion(), 400, 'invalid_request', 'request.missing_parameter'],
    [
      'with two tokens',
      async () => `token=a&token=b&${new URLSearchParams(await story.assertion())}`,
      400,
      'invalid_request',
      'request.repeated_parameter',
    ],
    [
      'without authentication',
      async () => ({ token: 'a' }),
      400,
      'invalid_request',
      'request.missing_parameter',
    ],
    [
      'with a forged assertion',
      async () => ({
        token: 'a',
        ...(await story.assertion()),
        client_assertion: await signToken(story.strangerKey, decodeJwt(await story.svid())),
      }),
      401,
      'invalid_client',
      'credential.signature_invalid',
    ],
    [
      'as somebody else by client_id',
      async () => ({ token: 'a', ...(await story.assertion()), client_id: gate }),
      401,
      'invalid_client',
      'request.client_id_mismatch',
    ],
  ] as const)('is refused %s', async (_name, form, status, error, reason) => {
    const response = await post(house.app, '/oauth/revoke', await form());
    expect([response.statusCode, response.json().error]).toEqual([status, error]);
    expect(await eventOf(response)).toMatchObject({ outcome: 'refused', reason });
  });

  it('is refused with two ways of authentication at once', async () => {
    const form = { token: 'a', ...(await story.assertion()) };
    const response = await post(house.app, '/oauth/revoke', form, bearer(testAdminToken));
    expect((await eventOf(response)).reason).toBe('request.two_client_authentications');
  });
});

describe('an admin', () => {
  it.each([
    ['the bootstrap token', async () => testAdminToken],
    ['a token with tokens:revoke', async () => adminToken(story, house.app, ['tokens:revoke'])],
  ])('ends any token with %s', async (_name, caller) => {
    const token = await story.token(house.app);
    const response = await post(house.app, '/oauth/revoke', { token }, bearer(await caller()));
    expect(response.statusCode).toBe(200);
    expect(await isActive(token)).toBe(false);
  });

  const refused: readonly (readonly [string, () => Promise<string>, string])[] = [
    [
      'an admin token without the scope',
      async () => adminToken(story, house.app, ['policy:read']),
      'admin.scope_missing',
    ],
    ['a token for another resource', async () => story.token(house.app), 'token.audience_mismatch'],
    ['no token of ours', async () => 'x', 'admin.token_refused'],
  ];
  it.each(refused)('is refused with %s', async (_name, caller, reason) => {
    const token = await story.token(house.app);
    const response = await post(house.app, '/oauth/revoke', { token }, bearer(await caller()));
    expect([response.statusCode, response.json().error]).toEqual([401, 'invalid_token']);
    expect(response.headers['www-authenticate']).toBe('Bearer error="invalid_token"');
    expect((await eventOf(response)).reason).toBe(reason);
    expect(await isActive(token)).toBe(true);
  });

  it('whose own token is revoked is out', async () => {
    const caller = await adminToken(story, house.app, ['tokens:revoke']);
    expect((await post(house.app, '/oauth/revoke', { token: caller }, bearer(caller))).statusCode).toBe(200);
    const response = await post(house.app, '/oauth/revoke', { token: caller }, bearer(caller));
    expect((await eventOf(response)).reason).toBe('token.revoked');
  });
});

describe('a stranger', () => {
  it('past the cap of refusals leaves no event', async () => {
    const statuses: number[] = [];
    for (let call = 0; call < 122; call++) {
      const response = await house.app.inject({
        method: 'POST',
        url: '/oauth/revoke',
        remoteAddress: '198.51.100.7',
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...bearer('x') },
        payload: 'token=a',
      });
      statuses.push(response.statusCode);
    }
    expect([statuses[0], statuses[119], statuses[120]]).toEqual([401, 401, 429]);
    // Whose credential holds is no stranger, wherever it comes from: what is refused of it is recorded, and theirs.
    const known = await house.app.inject({
      method: 'POST',
      url: '/oauth/revoke',
      remoteAddress: '198.51.100.7',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams({ token: 'a', client_id: gate, ...(await story.assertion()) }).toString(),
    });
    expect(await eventOf(known)).toMatchObject({
      outcome: 'refused',
      reason: 'request.client_id_mismatch',
      actor: orders,
    });
  });
});

it('a token that was issued before the house moved on is still ended', async () => {
  const token = await story.token(house.app);
  house.clock.set(testNowMillis + 60_000);
  await post(house.app, '/oauth/revoke', { token }, bearer(testAdminToken));
  expect(await isActive(token)).toBe(false);
  expect(decodeJwt(token).iat).toBe(testNowSeconds);
  house.clock.set(testNowMillis);
});
