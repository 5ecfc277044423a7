/** Access tokens at `/forward-auth`: which pass, what the service is told, and the reason and challenge of each refusal. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testIssuer } from '../../support/house.ts';
import { makeKey, signToken, testNowMillis, testNowSeconds } from '../../support/tokens.ts';
import { orders } from '../token/story.ts';
import { bearer, type Guard, nobody, openGuard, shopAudience, shopMetadata } from './guard.ts';

let guard: Guard;
beforeAll(async () => {
  guard = await openGuard();
});
afterAll(() => guard.house.close());

const metadata = `resource_metadata="${shopMetadata}"`;

describe('a token of ours', () => {
  it('passes, and the service is told who is calling', async () => {
    const answer = await guard.ask('/shop/read', bearer(await guard.token('read items:read')));
    expect(answer).toEqual({
      status: 200,
      challenge: undefined,
      passport: {
        'x-spiffe-id': orders,
        'x-spiffe-trust-domain': 'prod.test',
        'x-auth-method': 'token',
        'x-auth-client-id': orders,
        'x-auth-audience': shopAudience,
        'x-auth-scope': 'read items:read',
        'x-auth-expires': String(testNowSeconds + 300),
      },
      body: '',
      reason: undefined,
    });
  });

  it('passes without a scope where the path asks for none', async () => {
    const headers = bearer(await guard.token());
    for (const path of ['/shop', '/shop?scope=write', '/shop/+', '/shop/+/orders/1?a=b']) {
      const answer = await guard.ask(path, headers);
      expect(answer, path).toMatchObject({ status: 200, passport: { 'x-auth-scope': '' } });
    }
  });

  it('passes in any letters of the scheme', async () => {
    const token = await guard.token('read');
    for (const authorization of [`bearer ${token}`, `BEARER ${token} `, `Bearer   ${token}`]) {
      expect(await guard.ask('/shop/read', { authorization })).toMatchObject({ status: 200 });
    }
  });

  it('must hold every scope of the path', async () => {
    const scopes = 'scope="read write", error="insufficient_scope"';
    const answer = await guard.ask('/shop/read+write', bearer(await guard.token('read')));
    expect(answer).toMatchObject({
      status: 403,
      reason: 'token.scope_missing',
      challenge: `Bearer ${metadata}, ${scopes}`,
      passport: nobody,
    });
    expect(JSON.parse(answer.body)).toEqual({ error: 'insufficient_scope', request_id: expect.any(String) });
  });

  it('is refused where it is for another resource', async () => {
    const token = await guard.token('alpha', 'alpha');
    expect(await guard.ask('/shop', bearer(token))).toMatchObject({
      status: 401,
      reason: 'token.audience_mismatch',
      challenge: `Bearer ${metadata}, error="invalid_token"`,
      passport: nobody,
    });
    expect(await guard.ask('/alpha', bearer(token))).toMatchObject({ status: 200 });
  });

  it('is refused once it is over', async () => {
    const token = await guard.token('read');
    guard.house.clock.set(testNowMillis + 300_000);
    const answer = await guard.ask('/shop/read', bearer(token));
    guard.house.clock.set(testNowMillis);
    expect(answer).toMatchObject({ status: 401, reason: 'token.expired', passport: nobody });
    expect(await guard.ask('/shop/read', bearer(token))).toMatchObject({ status: 200 });
  });
});

describe('what is no token of ours', () => {
  const claims = { iss: testIssuer, aud: shopAudience, sub: orders, jti: 'x', iat: testNowSeconds };
  it.each([
    ['nothing after the scheme', () => 'Bearer', 'token.malformed'],
    ['two tokens', () => 'Bearer a.b.c d.e.f', 'token.malformed'],
    ['a word', () => 'Bearer canary', 'token.malformed'],
    ['a platform token', async () => `Bearer ${await guard.story.platformToken()}`, 'token.type_mismatch'],
    [
      'one that another signed',
      async () =>
        `Bearer ${await signToken(await makeKey('k'), { ...claims, exp: testNowSeconds + 9 }, { typ: 'at+jwt' })}`,
      'token.key_unknown',
    ],
  ])('is refused: %s', async (_name, authorization, reason) => {
    const answer = await guard.ask('/shop/read', { authorization: await authorization() });
    expect(answer).toMatchObject({
      status: 401,
      reason,
      challenge: `Bearer ${metadata}, scope="read", error="invalid_token"`,
      passport: nobody,
    });
    expect(guard.house.log()).not.toContain('canary"');
  });

  it.each([{}, { authorization: '' }, { authorization: 'Basic YTpi' }, { authorization: 'Bearerx a' }])(
    'gets a challenge without an error: %o',
    async (headers) => {
      expect(await guard.ask('/shop/read', headers)).toMatchObject({
        status: 401,
        reason: 'request.credential_missing',
        challenge: `Bearer ${metadata}, scope="read"`,
        passport: nobody,
      });
    },
  );

  it('learns no metadata of a resource whose audience is no URL', async () => {
    expect(await guard.ask('/alpha')).toMatchObject({ status: 401, challenge: 'Bearer' });
  });
});

describe('an answer', () => {
  it('never copies what came in', async () => {
    const forged = Object.fromEntries(Object.keys(nobody).map((name) => [name, 'spiffe://evil.test/x']));
    expect(await guard.ask('/shop/read', forged)).toMatchObject({ status: 401, passport: nobody });
    const token = await guard.token('read');
    expect(await guard.ask('/shop/read', { ...forged, ...bearer(token) })).toMatchObject({
      status: 200,
      passport: { 'x-spiffe-id': orders, 'x-spiffe-trust-domain': 'prod.test', 'x-auth-client-id': orders },
    });
  });

  it('is counted, and writes no event', async () => {
    const scrape = async () => (await guard.house.app.inject('/metrics')).body;
    const series = (reason: string, outcome: string) =>
      `mintmark_forward_auth_total{resource="shop",outcome="${outcome}",reason="${reason}"}`;
    const count = async (name: string) =>
      Number(
        (await scrape())
          .split('\n')
          .find((line) => line.startsWith(name))
          ?.split(' ')[1] ?? 0,
      );
    const permitted = await count(series('', 'permitted'));
    const refused = await count(series('request.credential_missing', 'refused'));
    await guard.ask('/shop/read', bearer(await guard.token('read')));
    await guard.ask('/shop/read');
    expect(await count(series('', 'permitted'))).toBe(permitted + 1);
    expect(await count(series('request.credential_missing', 'refused'))).toBe(refused + 1);
    await guard.ask('/canary-resource');
    expect(await scrape()).not.toContain('canary-resource');
    const { request_id: requestId } = JSON.parse((await guard.ask('/shop')).body);
    await expect(guard.house.eventOf(requestId)).rejects.toThrow('no audit event');
  });

  it('is logged 120 times a minute for one address, and is the same after that', async () => {
    const remoteAddress = '10.77.0.1';
    const before = guard.house.log().length;
    for (let count = 0; count < 125; count++) {
      expect(await guard.ask('/shop', {}, { remoteAddress })).toMatchObject({ status: 401 });
    }
    const lines = guard.house.log().slice(before).split('\n');
    const ours = lines.filter((line) => line.includes('forward auth refused'));
    expect(
      ours.filter((line) => line.includes('"level":"info"') || line.includes('"level":30')),
    ).toHaveLength(120);
    expect(ours).toHaveLength(125);
  });
});
