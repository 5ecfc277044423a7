/** `POST /oauth/introspect` (RFC 7662, RFC 9701): who may know what, and what everybody else reads. */
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openHouse, type TestHouse, testAdminToken, testIssuer } from '../../support/house.ts';
import { testNowMillis, testNowSeconds } from '../../support/tokens.ts';
import { callAdmin } from '../admin/admin-calls.ts';
import { bearer, gate, introspect, orders, post, tellRevocationStory } from './story.ts';

const signedType = 'application/token-introspection+jwt';
let story: Awaited<ReturnType<typeof tellRevocationStory>>;
let house: TestHouse;
let gateToken: string;
beforeAll(async () => {
  story = await tellRevocationStory();
  house = await openHouse(story.documents);
  gateToken = await story.introspectorToken(house.app);
});
afterAll(() => house.close());

const eventOf = (response: { headers: Record<string, unknown> }) =>
  house.eventOf(String(response.headers['x-request-id']));
const ask = (token: string, caller = gateToken, headers: Record<string, string> = {}) =>
  post(house.app, '/oauth/introspect', { token }, { ...bearer(caller), ...headers });

describe('an introspector', () => {
  it('reads what the token says', async () => {
    const token = await story.token(house.app);
    const response = await ask(token);
    expect([response.statusCode, response.headers['cache-control']]).toEqual([200, 'no-store']);
    expect(response.json()).toEqual({
      active: true,
      token_type: 'Bearer',
      iss: testIssuer,
      sub: orders,
      client_id: orders,
      aud: 'alpha',
      scope: 'alpha',
      iat: testNowSeconds,
      exp: testNowSeconds + 300,
      jti: decodeJwt(token).jti,
    });
  });

  it('reads exactly the same of everything that it may not know', async () => {
    const token = await story.token(house.app);
    const revoked = await story.token(house.app);
    await post(house.app, '/oauth/revoke', { token: revoked }, bearer(testAdminToken));
    const others = {
      'of another resource': await story.token(house.app, 'beta'),
      'of the admin API': await story.token(house.app, `${testIssuer}/admin/v1`, 'policy:read'),
      'its own, for us': gateToken,
      revoked,
      'with another signature': `${token.slice(0, -8)}AAAAAAAA`,
      'of another type': await story.svid(),
      'no token': 'x',
    };
    for (const [name, other] of Object.entries(others)) {
      const response = await ask(other);
      expect([name, response.statusCode, response.body]).toEqual([name, 200, '{"active":false}']);
    }
    expect(await introspect(house.app, gateToken, token)).toMatchObject({ active: true });
  });

  it('reads that a token is over', async () => {
    const token = await story.token(house.app);
    house.clock.set(testNowMillis + 299_999);
    const before = await introspect(house.app, gateToken, token);
    house.clock.set(testNowMillis + 300_000);
    const after = await introspect(house.app, gateToken, token);
    house.clock.set(testNowMillis);
    expect(before).toMatchObject({ active: true });
    expect(after).toEqual({ active: false });
  });

  it('gets a signed answer for itself alone, of which nobody can make an access token', async () => {
    const token = await story.token(house.app);
    const response = await ask(token, gateToken, { accept: `application/json;q=0.5, ${signedType}` });
    expect(response.headers['content-type']).toBe(signedType);
    const keys = createLocalJWKSet((await house.app.inject('/.well-known/jwks.json')).json());
    const { payload, protectedHeader } = await jwtVerify(response.body, keys, {
      issuer: testIssuer,
      audience: gate,
      typ: 'token-introspection+jwt',
      currentDate: new Date(testNowMillis),
    });
    expect(protectedHeader.alg).toBe('ES256');
    expect(Object.keys(payload).sort()).toEqual(['aud', 'iat', 'iss', 'token_introspection']);
    expect(payload.token_introspection).toMatchObject({ active: true, sub: orders });
    const inactive = await ask('x', gateToken, { accept: signedType });
    expect(decodeJwt(inactive.body).token_introspection).toEqual({ active: false });
    const used = await ask(token, response.body);
    expect([used.statusCode, (await eventOf(used)).reason]).toEqual([401, 'token.type_mismatch']);
    expect((await ask(token, gateToken, { accept: `${signedType};q=0` })).headers['content-type']).toMatch(
      /^application\/json/,
    );
  });

  it('leaves no event, and is counted', async () => {
    const response = await ask('x');
    const read = await callAdmin(house.app, `/audit-events/${response.headers['x-request-id']}`);
    expect(read.statusCode).toBe(404);
    const metrics = (await house.app.inject('/metrics')).body;
    for (const outcome of ['active', 'inactive', 'hidden', 'refused']) {
      expect(metrics).toMatch(new RegExp(`mintmark_introspections_total\\{outcome="${outcome}"\\} [1-9]`));
    }
  });
});

describe('anybody else', () => {
  it.each([
    ['no token', async () => ({}), 'token.missing', 'Bearer'],
    ['a basic secret', async () => ({ authorization: 'Basic YTpi' }), 'token.missing', 'Bearer'],
    [
      'a token for a resource',
      async () => bearer(await story.token(house.app)),
      'token.audience_mismatch',
      'Bearer error="invalid_token"',
    ],
    [
      'the bootstrap token',
      async () => bearer(testAdminToken),
      'token.malformed',
      'Bearer error="invalid_token"',
    ],
    [
      'an SVID',
      async () => bearer(await story.svid(gate)),
      'token.type_mismatch',
      'Bearer error="invalid_token"',
    ],
  ] as const)('with %s is refused', async (_name, headers, reason, challenge) => {
    const token = await story.token(house.app);
    const response = await post(house.app, '/oauth/introspect', { token }, await headers());
    expect([response.statusCode, response.json().error]).toEqual([401, 'invalid_token']);
    expect(response.headers['www-authenticate']).toBe(challenge);
    expect(await eventOf(response)).toMatchObject({ outcome: 'refused', action: 'token.introspect', reason });
  });

  it('whose own token has no scope, or is revoked, is refused', async () => {
    const documents = story.documents.concat({
      apiVersion: 'mintmark/v1',
      kind: 'Grant',
      metadata: { name: 'no-scope' },
      spec: { subjects: [{ spiffeId: orders }], resource: 'mintmark', scopes: [] } as object,
    } as never);
    const another = await openHouse(documents);
    const bare = await story.token(another.app, testIssuer, '');
    const good = await story.introspectorToken(another.app);
    const reasonOf = async (caller: string) => {
      const response = await post(another.app, '/oauth/introspect', { token: 'x' }, bearer(caller));
      return response.statusCode === 200
        ? 'none'
        : (await another.eventOf(String(response.headers['x-request-id']))).reason;
    };
    expect(await reasonOf(bare)).toBe('token.scope_missing');
    expect(await reasonOf(good)).toBe('none');
    await post(another.app, '/oauth/revoke', { token: good }, bearer(testAdminToken));
    expect(await reasonOf(good)).toBe('token.revoked');
    await another.close();
  });

  it('without a token to ask about is told so', async () => {
    const response = await post(house.app, '/oauth/introspect', {}, bearer(gateToken));
    expect([response.statusCode, response.json().error]).toEqual([400, 'invalid_request']);
    expect((await eventOf(response)).reason).toBe('request.missing_parameter');
  });
});

it('both discovery documents say where and how', async () => {
  for (const name of ['oauth-authorization-server', 'openid-configuration']) {
    expect((await house.app.inject(`/.well-known/${name}`)).json()).toMatchObject({
      revocation_endpoint: `${testIssuer}/oauth/revoke`,
      revocation_endpoint_auth_methods_supported: ['spiffe_jwt', 'private_key_jwt'],
      introspection_endpoint: `${testIssuer}/oauth/introspect`,
      introspection_endpoint_auth_methods_supported: ['Bearer'],
      introspection_signing_alg_values_supported: ['ES256'],
    });
  }
});

describe('the cap of refusals', () => {
  it('is for strangers: whose token is ours and holds is always recorded, and theirs', async () => {
    const from = (caller: string) =>
      house.app.inject({
        method: 'POST',
        url: '/oauth/introspect',
        remoteAddress: '198.51.100.8',
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...bearer(caller) },
        payload: 'token=a',
      });
    const statuses: number[] = [];
    for (let call = 0; call < 122; call++) statuses.push((await from('x')).statusCode);
    expect([statuses[0], statuses[119], statuses[120]]).toEqual([401, 401, 429]);
    const known = await from(await story.token(house.app));
    expect(known.statusCode).toBe(401);
    expect(await eventOf(known)).toMatchObject({
      outcome: 'refused',
      reason: 'token.audience_mismatch',
      actor: orders,
    });
  });
});
