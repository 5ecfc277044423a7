/** Forged and twisted tokens, each beside the genuine token that it was made from. */
import { createHmac } from 'node:crypto';
import { exportSPKI, importJWK, SignJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { OAuthError } from '../../../src/core/error.ts';
import {
  bundleOf,
  type Claims,
  jwksOf,
  makeKey,
  makeSvid,
  signText,
  signToken,
  type TestKey,
  testNowSeconds,
} from '../../support/tokens.ts';
import { makeDomain, makeIssuer, ownIssuer, type Present, verifierFor } from '../../support/tokens-policy.ts';

const issuerUrl = 'https://idp.example';
const spiffeId = 'spiffe://prod.example/orders';
const claims = {
  iss: issuerUrl,
  sub: 'worker',
  aud: ownIssuer,
  iat: testNowSeconds,
  exp: testNowSeconds + 600,
};

let key: TestKey;
let rsa: TestKey;
/** Its kid is that of `key`: the attacker chooses it. */
let attacker: TestKey;
let svidKey: TestKey;
let present: Present;

beforeAll(async () => {
  [key, rsa, attacker, svidKey] = await Promise.all([
    makeKey('k1'),
    makeKey('r1', 'RS256'),
    makeKey('k1'),
    makeKey('s1'),
  ]);
  present = verifierFor(
    makeIssuer({ name: 'idp', issuerUrl, keys: { jwks: jwksOf(key, rsa) } }),
    makeDomain({ name: 'prod.example', bundle: { static: bundleOf(svidKey) } }),
  );
});

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** The genuine token's three parts. */
async function genuine(): Promise<[string, string, string]> {
  const token = await signToken(key, claims);
  expect(await present(token)).toMatchObject({ issuer: 'idp' });
  const [header = '', payload = '', signature = ''] = token.split('.');
  return [header, payload, signature];
}

async function expectRefused(token: string, reason: string): Promise<void> {
  const error: unknown = await present(token).then(
    () => undefined,
    (refusal) => refusal,
  );
  if (!(error instanceof OAuthError)) throw new Error(`accepted, or failed oddly: ${error}`);
  expect(error.reason).toBe(reason);
  expectNothingLeaked(error, token);
}

/** No part of the token, and no line break or other control character, stands in what the operator reads. */
function expectNothingLeaked(error: OAuthError, token: string): void {
  const shown = `${error.message} ${error.detail ?? ''} ${error.sentence}`;
  for (const part of token.split('.')) if (part.length > 20) expect(shown).not.toContain(part.slice(0, 20));
  expect(shown).not.toMatch(/\p{Cc}/u);
  expect(shown.length).toBeLessThan(1000);
}

describe('a signature that is none', () => {
  it.each(['none', 'None', 'NONE'])('alg %s', async (alg) => {
    const [, payload, signature] = await genuine();
    await expectRefused(
      `${encode({ alg, kid: 'k1' })}.${payload}.${signature}`,
      'credential.algorithm_refused',
    );
    await expectRefused(`${encode({ alg, kid: 'k1' })}.${payload}.`, 'credential.algorithm_refused');
  });

  it('an empty signature', async () => {
    const [header, payload] = await genuine();
    await expectRefused(`${header}.${payload}.`, 'credential.malformed');
  });

  it('zeros for r and s', async () => {
    const [header, payload] = await genuine();
    await expectRefused(
      `${header}.${payload}.${Buffer.alloc(64).toString('base64url')}`,
      'credential.signature_invalid',
    );
  });

  it.each([1, 63, 65, 72])('a signature of %d bytes', async (length) => {
    const [header, payload] = await genuine();
    const signature = Buffer.alloc(length, 1).toString('base64url');
    await expectRefused(`${header}.${payload}.${signature}`, 'credential.signature_invalid');
  });

  it('a genuine signature over other claims', async () => {
    const [header, , signature] = await genuine();
    await expectRefused(
      `${header}.${encode({ ...claims, sub: 'admin' })}.${signature}`,
      'credential.signature_invalid',
    );
  });
});

describe('a key that is not the issuer’s', () => {
  it('another key under the same kid', async () => {
    await genuine();
    await expectRefused(await signToken(attacker, claims), 'credential.signature_invalid');
  });

  it('the key of another issuer under the same kid', async () => {
    const both = verifierFor(
      makeIssuer({ name: 'idp', issuerUrl, keys: { jwks: jwksOf(key) } }),
      makeIssuer({ name: 'other', issuerUrl: 'https://other.example', keys: { jwks: jwksOf(attacker) } }),
    );
    const forged = await signToken(attacker, claims);
    await expect(both(forged)).rejects.toMatchObject({ reason: 'credential.signature_invalid' });
    expect(await both(await signToken(attacker, { ...claims, iss: 'https://other.example' }))).toMatchObject({
      issuer: 'other',
    });
  });

  it.each(['HS256', 'HS384', 'HS512'])('the public key as the secret of %s', async (alg) => {
    const publicKey = await importJWK(rsa.publicJwk, 'RS256', { extractable: true });
    if (publicKey instanceof Uint8Array) throw new Error('expected a key');
    for (const secret of [await exportSPKI(publicKey), JSON.stringify(rsa.publicJwk)]) {
      const input = `${encode({ alg, kid: 'r1', typ: 'JWT' })}.${encode(claims)}`;
      const signature = createHmac(`sha${alg.slice(2)}`, secret)
        .update(input)
        .digest('base64url');
      await expectRefused(`${input}.${signature}`, 'credential.algorithm_refused');
    }
    expect(await present(await signToken(rsa, claims))).toMatchObject({ issuer: 'idp' });
  });

  it('the right key under the algorithm of another type', async () => {
    const [, payload, signature] = await genuine();
    await expectRefused(
      `${encode({ alg: 'RS256', kid: 'k1' })}.${payload}.${signature}`,
      'credential.algorithm_refused',
    );
  });

  it.each<[string, () => object]>([
    ['jwk', () => ({ jwk: attacker.publicJwk })],
    ['jku', () => ({ jku: 'https://evil.example/jwks' })],
    ['x5u', () => ({ x5u: 'https://evil.example/cert' })],
    ['x5c', () => ({ x5c: ['MIIB'] })],
    ['crit', () => ({ crit: ['exp'], exp: 1 })],
    ['an empty crit', () => ({ crit: [] })],
    ['b64', () => ({ b64: true, crit: ['b64'] })],
    ['zip', () => ({ zip: 'DEF' })],
    ['cty', () => ({ cty: 'JWT' })],
  ])('a header that brings %s', async (_what, parameters) => {
    await genuine();
    const input = `${encode({ alg: 'ES256', kid: 'k1', ...parameters() })}.${encode(claims)}`;
    // Signed by the issuer's own key, so that nothing but the header can be what is refused.
    const signature = await crypto.subtle.sign(
      { name: 'ECDSA', hash: 'SHA-256' },
      key.privateKey,
      new TextEncoder().encode(input),
    );
    await expectRefused(
      `${input}.${Buffer.from(signature).toString('base64url')}`,
      'credential.header_refused',
    );
  });

  it.each([
    ["' OR 1=1 --"],
    ['../../../../dev/null'],
    ['k1\u0000'],
    ['k1 '],
    ['K1'],
    ['__proto__'],
    ['constructor'],
    ['\u001b[31mred\nline'],
    ['k'.repeat(1000)],
  ])('the kid %j', async (kid) => {
    await genuine();
    await expectRefused(await signToken(attacker, claims, { kid }), 'credential.key_unknown');
  });

  it.each([[1], [null], [['k1']], [{}], [''], ['k'.repeat(1025)]])(
    'the kid %j, which is no name',
    async (kid) => {
      const [, payload, signature] = await genuine();
      await expectRefused(
        `${encode({ alg: 'ES256', kid })}.${payload}.${signature}`,
        'credential.header_refused',
      );
    },
  );

  it('no kid where several keys could have signed', async () => {
    const two = verifierFor(
      makeIssuer({ name: 'idp', issuerUrl, keys: { jwks: jwksOf(key, await makeKey('k2')) } }),
    );
    const one = verifierFor(makeIssuer({ name: 'idp', issuerUrl, keys: { jwks: jwksOf(key, rsa) } }));
    const token = await signToken(key, claims, { kid: undefined });
    await expect(two(token)).rejects.toMatchObject({ reason: 'credential.key_unknown' });
    expect(await one(token)).toMatchObject({ issuer: 'idp' });
  });
});

describe('a token with two readings', () => {
  it.each<[string, string]>([
    ['sub twice', `{"sub":"admin",${JSON.stringify(claims).slice(1)}`],
    ['sub twice, once escaped', `{"\\u0073ub":"admin",${JSON.stringify(claims).slice(1)}`],
    ['a name twice deep down', `${JSON.stringify(claims).slice(0, -1)},"a":[{"b":1,"b":2}]}`],
    ['__proto__', `${JSON.stringify(claims).slice(0, -1)},"__proto__":{"admin":true}}`],
    ['text after the object', `${JSON.stringify(claims)} {}`],
    ['a list', '[]'],
    ['text', '"sub"'],
    ['null', 'null'],
    ['nothing that is JSON', 'sub=worker'],
    ['a byte order mark', `\ufeff${JSON.stringify(claims)}`],
  ])('claims with %s', async (_what, payload) => {
    expect(await present(await signText(key, JSON.stringify(claims)))).toMatchObject({ issuer: 'idp' });
    await expectRefused(await signText(key, payload), 'credential.malformed');
  });

  it('a header that names alg twice', async () => {
    const [, payload, signature] = await genuine();
    const header = encode('{"alg":"none","alg":"ES256","kid":"k1"}');
    await expectRefused(`${header}.${payload}.${signature}`, 'credential.malformed');
  });

  it('claims that are not UTF-8', async () => {
    const [header, , signature] = await genuine();
    const payload = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url');
    await expectRefused(`${header}.${payload}.${signature}`, 'credential.malformed');
  });

  it('another spelling of the same bytes', async () => {
    const [header, payload, signature] = await genuine();
    const last = 'AQgw'.indexOf(signature.slice(-1));
    expect(last).not.toBe(-1); // 64 bytes leave two characters, the last with four unused bits
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const twin = signature.slice(0, -1) + alphabet[last * 16 + 1];
    expect(Buffer.from(twin, 'base64url')).toEqual(Buffer.from(signature, 'base64url'));
    await expectRefused(`${header}.${payload}.${twin}`, 'credential.malformed');
  });

  it.each<[string, (parts: [string, string, string]) => string]>([
    ['padding', ([h, p, s]) => `${h}.${p}.${s}==`],
    ['a space in front', (parts) => ` ${parts.join('.')}`],
    ['a line break behind', (parts) => `${parts.join('.')}\n`],
    ['a space inside', ([h, p, s]) => `${h}. ${p}.${s}`],
    ['the other base64 alphabet', ([h, p, s]) => `${h}.${p}.+/${s.slice(2)}`],
    ['a fourth part', (parts) => `${parts.join('.')}.AAAA`],
    ['a missing part', ([h, p]) => `${h}.${p}`],
    ['an empty header', ([, p, s]) => `.${p}.${s}`],
    ['five parts, as a JWE has', ([h]) => `${h}.AAAA.AAAA.AAAA.AAAA`],
    ['a scheme', (parts) => `Bearer ${parts.join('.')}`],
    ['a NUL', (parts) => `${parts.join('.')}\u0000`],
    ['letters from elsewhere', ([h, p, s]) => `${h}.${p}.${s.slice(0, -1)}А`],
    ['nothing', () => ''],
  ])('a token with %s', async (_what, twist) => {
    await expectRefused(twist(await genuine()), 'credential.malformed');
  });

  it('a JWS in JSON', async () => {
    const [header, payload, signature] = await genuine();
    await expectRefused(JSON.stringify({ protected: header, payload, signature }), 'credential.malformed');
  });

  it('a token that is too large', async () => {
    await genuine();
    await expectRefused(
      await signToken(key, { ...claims, padding: 'x'.repeat(17_000) }),
      'credential.malformed',
    );
  });
});

describe('a token made for something else', () => {
  it.each([
    'at+jwt',
    'application/at+jwt',
    'dpop+jwt',
    'wit+jwt',
    'wpt+jwt',
    'secevent+jwt',
    'logout+jwt',
    'token-introspection+jwt',
    'JOSE',
    '',
  ])('typ %j', async (typ) => {
    await genuine();
    await expectRefused(await signToken(key, claims, { typ }), 'credential.type_refused');
  });

  it('a token of our own', async () => {
    await genuine();
    await expectRefused(await signToken(key, { ...claims, iss: ownIssuer }), 'credential.unknown_issuer');
    const svid = await makeSvid(svidKey, spiffeId, ownIssuer, { iss: ownIssuer });
    await expectRefused(svid, 'credential.unknown_issuer');
  });

  it('iss that only looks like a registered one', async () => {
    await genuine();
    for (const iss of [
      `${issuerUrl}/`,
      `${issuerUrl}@evil.example`,
      'https://IDP.example',
      `${issuerUrl}\u0000`,
      ` ${issuerUrl}`,
    ]) {
      await expectRefused(await signToken(key, { ...claims, iss }), 'credential.unknown_issuer');
    }
    for (const iss of [[issuerUrl], { url: issuerUrl }, 1, null]) {
      await expectRefused(await signToken(key, { ...claims, iss }), 'credential.claim_malformed');
    }
  });

  it('times that no clock shows', async () => {
    await genuine();
    const withExp = (exp: string): Claims & { text: string } => ({
      text: JSON.stringify(claims).replace(/"exp":\d+/, `"exp":${exp}`),
    });
    for (const exp of [
      '1e999',
      '1e308',
      '-1',
      'true',
      'null',
      '[]',
      '"9999999999"',
      `{"valueOf":${claims.exp}}`,
    ]) {
      await expectRefused(await signText(key, withExp(exp).text), 'credential.claim_malformed');
    }
  });

  it('a JWT that is declared a JWT-SVID', async () => {
    const token = await signToken(key, claims);
    expect(await present(token, 'subject_token', { declaredType: 'jwt' })).toMatchObject({ issuer: 'idp' });
    await expect(present(token, 'client_assertion', { declaredType: 'jwt-svid' })).rejects.toMatchObject({
      reason: 'credential.type_mismatch',
    });
  });

  it('a JWT that jose would accept, with claims in the header', async () => {
    await genuine();
    const token = await new SignJWT({})
      .setProtectedHeader({ alg: 'ES256', kid: 'k1', ...claims })
      .sign(key.privateKey);
    await expectRefused(token, 'credential.claim_missing');
  });
});
