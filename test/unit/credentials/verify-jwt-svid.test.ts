import { beforeAll, describe, expect, it } from 'vitest';
import {
  bundleOf,
  type Claims,
  makeKey,
  makeSvid,
  signToken,
  type TestKey,
  testNowSeconds,
} from '../../support/tokens.ts';
import { makeDomain, ownIssuer, type Present, verifierFor } from '../../support/tokens-policy.ts';

const spiffeId = 'spiffe://prod.example/orders';
const tokenEndpoint = `${ownIssuer}/oauth/token`;

let key: TestKey;
let present: Present;

beforeAll(async () => {
  key = await makeKey('svid-1');
  present = verifierFor(makeDomain({ name: 'prod.example', bundle: { static: bundleOf(key) } }));
});

const svid = (aud: string | string[] = ownIssuer, claims: Claims = {}) =>
  makeSvid(key, spiffeId, aud, claims);

describe('a JWT-SVID', () => {
  it('becomes the identity that it names', async () => {
    expect(await present(await svid(), 'client_assertion', { declaredType: 'jwt-svid' })).toEqual({
      spiffeId,
      credentialKind: 'jwt-svid',
      trustDomain: 'prod.example',
      claims: { sub: spiffeId, aud: ownIssuer, iat: testNowSeconds, exp: testNowSeconds + 300 },
      auditClaims: {},
      audiences: [ownIssuer],
      clientIds: [spiffeId],
      expiresAt: testNowSeconds + 300,
    });
  });

  it.each(['any', 'jwt', 'jwt-svid'] as const)(
    'is accepted where it is declared %s',
    async (declaredType) => {
      expect(await present(await svid(), 'client_assertion', { declaredType })).toMatchObject({ spiffeId });
    },
  );

  it.each(['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'])(
    'is accepted when signed with %s',
    async (algorithm) => {
      const signer = await makeKey('k', algorithm);
      const domain = makeDomain({ name: 'prod.example', bundle: { static: bundleOf(signer) } });
      expect(await verifierFor(domain)(await makeSvid(signer, spiffeId, ownIssuer))).toMatchObject({
        spiffeId,
      });
    },
  );

  it('is refused when signed with EdDSA, which the profile leaves out', async () => {
    const signer = await makeKey('k', 'EdDSA');
    const domain = makeDomain({ name: 'prod.example', bundle: { static: bundleOf(signer) } });
    await expect(verifierFor(domain)(await makeSvid(signer, spiffeId, ownIssuer))).rejects.toMatchObject({
      reason: 'credential.algorithm_refused',
    });
  });

  it.each([['JWT'], ['JOSE'], [undefined]])('may have typ %s', async (typ) => {
    const token = await signToken(key, { sub: spiffeId, aud: ownIssuer, exp: testNowSeconds + 60 }, { typ });
    expect(await present(token)).toMatchObject({ spiffeId });
  });

  it.each([
    ['typ jwt', { typ: 'jwt' }, 'credential.type_refused'],
    ['typ at+jwt', { typ: 'at+jwt' }, 'credential.type_refused'],
    ['typ wit+jwt', { typ: 'wit+jwt' }, 'credential.type_refused'],
    ['typ client-authentication+jwt', { typ: 'client-authentication+jwt' }, 'credential.type_refused'],
    ['no kid', { kid: undefined }, 'credential.header_refused'],
    ['another header parameter', { x5t: 'AAAA' }, 'credential.header_refused'],
  ])('with %s is refused', async (_what, header, reason) => {
    const token = await signToken(key, { sub: spiffeId, aud: ownIssuer, exp: testNowSeconds + 60 }, header);
    await expect(present(token, 'client_assertion')).rejects.toMatchObject({ reason });
  });

  it('is accepted for the token endpoint, which real clients ask for', async () => {
    expect(await present(await svid(tokenEndpoint), 'client_assertion')).toMatchObject({ spiffeId });
  });

  it('as a client assertion has one audience; on other lanes one of several is enough', async () => {
    const token = await svid([ownIssuer, tokenEndpoint]);
    await expect(present(token, 'client_assertion')).rejects.toMatchObject({
      reason: 'credential.audience_not_sole',
    });
    for (const lane of ['assertion', 'subject_token', 'bearer'] as const) {
      expect(await present(token, lane)).toMatchObject({ spiffeId });
    }
    await expect(present(await svid('https://x.example'), 'client_assertion')).rejects.toMatchObject({
      reason: 'credential.audience_mismatch',
    });
  });

  it.each([
    ['exp now', { exp: testNowSeconds }, 'credential.expired'],
    ['no exp', { exp: undefined }, 'credential.claim_missing'],
    ['nbf 31 s ahead', { nbf: testNowSeconds + 31 }, 'credential.not_yet_valid'],
    ['iat 31 s ahead', { iat: testNowSeconds + 31 }, 'credential.issued_in_future'],
    ['two days of life', { exp: testNowSeconds + 172_800 }, 'credential.lifetime_too_long'],
    [
      'two days of life and no iat',
      { iat: undefined, exp: testNowSeconds + 172_800 },
      'credential.lifetime_too_long',
    ],
    ['no aud', { aud: undefined }, 'credential.claim_missing'],
  ])('with %s is refused', async (_what, claims, reason) => {
    await expect(present(await svid(ownIssuer, claims))).rejects.toMatchObject({ reason });
  });

  it('lives no longer than its trust domain lets it', async () => {
    const named = { name: 'prod.example', bundle: { static: bundleOf(key) } };
    const twoDays = await svid(ownIssuer, { exp: testNowSeconds + 172_800 });
    const patient = verifierFor(makeDomain({ ...named, maxSvidLifetimeSeconds: 172_800 }));
    expect(await patient(twoDays)).toMatchObject({ spiffeId });
    const strict = verifierFor(makeDomain({ ...named, maxSvidLifetimeSeconds: 299 }));
    await expect(strict(await svid())).rejects.toMatchObject({ reason: 'credential.lifetime_too_long' });
  });

  it('needs no iat, iss or jti', async () => {
    expect(await present(await svid(ownIssuer, { iat: undefined }))).toMatchObject({ spiffeId });
  });

  it.each([
    ['SPIFFE://prod.example/orders'],
    ['spiffe://PROD.example/orders'],
    ['spiffe://prod.example'],
    ['spiffe://prod.example/'],
    ['spiffe://prod.example/orders/'],
    ['spiffe://prod.example/a/../orders'],
    ['spiffe://prod.example/%6frders'],
    ['spiffe://user@prod.example/orders'],
    ['spiffe://prod.example:443/orders'],
    ['spiffe://prod.example/orders?x'],
    ['spiffe:prod.example/orders'],
  ])('with sub %s is refused', async (sub) => {
    await expect(present(await makeSvid(key, sub, ownIssuer))).rejects.toMatchObject({
      reason: 'credential.spiffe_id_invalid',
    });
  });

  it('of a trust domain that nobody registered is refused', async () => {
    await expect(present(await makeSvid(key, 'spiffe://x.example/orders', ownIssuer))).rejects.toMatchObject({
      reason: 'credential.unknown_trust_domain',
      detail: 'trust domain "x.example"',
    });
  });
});
