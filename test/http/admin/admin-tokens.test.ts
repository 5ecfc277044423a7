/** Tokens that Mintmark minted for its own admin API, and everything that is not one. */
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { dpopChallenge } from '../../support/dpop.ts';
import { openHouse, type TestHouse, testIssuer } from '../../support/house.ts';
import { makeKey, signToken, testNowMillis, testNowSeconds } from '../../support/tokens.ts';
import { orders } from '../token/story.ts';
import { callAdmin, putPolicy, resource } from './admin-calls.ts';
import {
  type AdminStory,
  adminAudience,
  adminGrant,
  adminToken,
  callWith,
  tellAdminStory,
} from './admin-story.ts';

let story: AdminStory;
let house: TestHouse;
beforeAll(async () => {
  story = await tellAdminStory();
  house = await openHouse(story.documents);
});
afterAll(() => house.close());
beforeEach(async () => {
  house.clock.set(testNowMillis);
  expect((await putPolicy(house.app, [adminGrant()])).statusCode).toBe(200);
});

const eventOf = (response: { headers: Record<string, unknown> }) =>
  house.eventOf(String(response.headers['x-request-id']));

/** The same words for every token that is not accepted. */
async function expectRefused(response: Awaited<ReturnType<typeof callWith>>, reason: string, token: string) {
  expect(response.statusCode).toBe(401);
  expect(response.headers['www-authenticate']).toBe(
    `Bearer resource_metadata="${testIssuer}/.well-known/oauth-protected-resource/admin/v1", error="invalid_token", ${dpopChallenge}`,
  );
  expect(response.json()).toEqual({
    type: 'urn:mintmark:problem:unauthorized',
    title: 'A valid admin token is needed',
    status: 401,
    detail: 'Send the admin token as "Authorization: Bearer <token>".',
    request_id: response.headers['x-request-id'],
  });
  const event = await eventOf(response);
  expect(event).toMatchObject({ outcome: 'refused', reason, error_code: 'invalid_token' });
  expect(event).not.toHaveProperty('actor');
  expect(JSON.stringify(event) + house.log()).not.toContain(token);
}

describe('a token for the admin API', () => {
  it('acts under the name of its subject, within its scopes', async () => {
    const token = await adminToken(story, house.app, ['policy:read', 'policy:write', 'policy:admin']);
    const claims = decodeJwt(token);
    expect(claims).toMatchObject({ aud: adminAudience, sub: orders });
    expect(Number(claims.exp) - testNowSeconds).toBeLessThanOrEqual(600);
    const read = await callWith(house.app, token, '/policy');
    expect(read.statusCode).toBe(200);
    expect(await eventOf(read)).toMatchObject({ outcome: 'permitted', actor: orders });

    const payload = JSON.stringify({ documents: [adminGrant(), resource('by-orders')] });
    const headers = { 'content-type': 'application/json' };
    const written = await callWith(house.app, token, '/policy', { method: 'PUT', headers, payload });
    expect(written.statusCode).toBe(200);
    expect(await eventOf(written)).toMatchObject({ actor: orders, action: 'admin.policy.replace' });

    const status = await callWith(house.app, token, '/status');
    expect(status.statusCode).toBe(403);
    expect(status.headers['www-authenticate']).toContain('error="insufficient_scope", scope="status:read"');
    expect(await eventOf(status)).toMatchObject({ actor: orders, reason: 'admin.scope_missing' });
  });

  it('is not given for scopes that the grant lacks, nor to others', async () => {
    await putPolicy(house.app, [adminGrant({ scopes: ['policy:read'] })]);
    const more = await story.ask(house.app, ['policy:write']);
    expect([more.statusCode, more.json().error]).toEqual([400, 'invalid_scope']);
    const other = await story.ask(house.app, ['policy:read'], adminAudience, `${orders}/below`);
    expect([other.statusCode, other.json().error]).toEqual([400, 'invalid_target']);
  });

  it('ends when it says', async () => {
    const token = await adminToken(story, house.app);
    const endMillis = Number(decodeJwt(token).exp) * 1000;
    house.clock.set(endMillis - 1);
    expect((await callWith(house.app, token, '/status')).statusCode).toBe(200);
    house.clock.set(endMillis);
    await expectRefused(await callWith(house.app, token, '/status'), 'token.expired', token);
  });

  it('ends with the grant that it came from', async () => {
    const token = await adminToken(story, house.app);
    expect((await callWith(house.app, token, '/status')).statusCode).toBe(200);
    await putPolicy(house.app, []);
    const refused = await callWith(house.app, token, '/status');
    await expectRefused(refused, 'admin.grant_missing', token);
    expect(await eventOf(refused)).toMatchObject({ detail: `sub ${orders}` }); // for the audit alone
    await putPolicy(house.app, [adminGrant({ subjects: [{ spiffeId: `${orders}/other` }] })]);
    await expectRefused(await callWith(house.app, token, '/status'), 'admin.grant_missing', token);
  });

  it('loses the scopes that the grant loses', async () => {
    const token = await adminToken(story, house.app);
    await putPolicy(house.app, [adminGrant({ scopes: ['status:read'] })]);
    expect((await callWith(house.app, token, '/status')).statusCode).toBe(200);
    const response = await callWith(house.app, token, '/policy');
    expect(response.statusCode).toBe(403);
    expect(await eventOf(response)).toMatchObject({ actor: orders, reason: 'admin.scope_missing' });
  });

  it('ends with the grant’s own end', async () => {
    const notAfter = new Date(testNowMillis + 60_000).toISOString();
    await putPolicy(house.app, [adminGrant({ notAfter })]);
    const token = await adminToken(story, house.app);
    expect(decodeJwt(token).exp).toBe(testNowSeconds + 60);
    house.clock.set(testNowMillis + 60_000);
    await expectRefused(await callWith(house.app, token, '/status'), 'token.expired', token);
  });
});

describe('any other token', () => {
  const forged = async (header: object) =>
    signToken(
      await makeKey('forged'),
      { iss: testIssuer, aud: adminAudience, sub: orders, iat: testNowSeconds, exp: testNowSeconds + 60 },
      { typ: 'at+jwt', ...header },
    );
  const ourKid = async () => (await house.app.inject('/.well-known/jwks.json')).json().keys[0].kid;

  it.each<[string, string, () => Promise<string>]>([
    [
      'one that we minted for another resource',
      'token.audience_mismatch',
      async () => (await story.ask(house.app, ['alpha'], 'alpha')).json().access_token,
    ],
    ['the workload’s own credential', 'token.type_mismatch', () => story.svid()],
    ['a stranger’s', 'token.key_unknown', () => forged({})],
    ['a stranger’s under our kid', 'token.signature_invalid', async () => forged({ kid: await ourKid() })],
    ['what only looks like one', 'token.malformed', async () => 'e30.e30.e30'],
    ['no JWT at all', 'admin.token_refused', async () => 'a-guess'],
    ['a JWE', 'admin.token_refused', async () => 'a.b.c.d.e'],
  ])('is refused: %s', async (_, reason, tokenOf) => {
    const token = await tokenOf();
    await expectRefused(await callWith(house.app, token, '/status'), reason, token);
  });

  it('of ours for the admin API is no credential at the exchange', async () => {
    const token = await adminToken(story, house.app);
    const response = await house.app.inject({
      method: 'POST',
      url: '/api/v1/token',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      payload: JSON.stringify({ audience: 'alpha' }),
    });
    expect([response.statusCode, response.json().error]).toEqual([401, 'invalid_token']);
    expect(await house.eventOf(response.json().request_id)).toMatchObject({
      reason: 'credential.unknown_issuer',
    });
  });

  it('is counted against its address like any wrong token', async () => {
    const remoteAddress = '10.200.0.1';
    const guess = () => callWith(house.app, 'e30.e30.e30', '/status', { remoteAddress });
    let response = await guess();
    for (let tries = 0; tries < 500 && response.statusCode === 401; tries++) response = await guess();
    expect(response.statusCode).toBe(429);
    expect((await callAdmin(house.app, '/status', { remoteAddress })).statusCode).toBe(200);
  });
});
