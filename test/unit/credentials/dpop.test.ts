/** Each rule of RFC 9449 §4.3, one refusal each, beside proofs that hold. */
import { generateKeyPairSync } from 'node:crypto';
import { exportJWK, type JWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { createVerifyDpop } from '../../../src/credentials/dpop.ts';
import { createDpopNonces } from '../../../src/credentials/dpop-nonce.ts';
import { athOf, makeProof, publicJwkOf, thumbprintOfKey } from '../../support/dpop.ts';
import { type Claims, makeKey, type TestKey, testNowMillis, testNowSeconds } from '../../support/tokens.ts';

const url = 'https://sts.test/oauth/token';
const key = await makeKey('one');
const other = await makeKey('other');
const nonces = createDpopNonces(new Secret(new Uint8Array(32).fill(7)));
const accessToken = 'a.b.c';

/** Remembers what it was asked to, as the guards of the contract tests do. */
function guardInMemory() {
  const claimed = new Map<string, number>();
  return {
    claimed,
    claim: async (name: string, expiresAt: number) => {
      if (claimed.has(name)) return false;
      claimed.set(name, expiresAt);
      return true;
    },
  };
}

const verify = (proof: string, changed: object = {}, nowMillis = testNowMillis) =>
  createVerifyDpop({ replayGuard: guardInMemory() })({ proof, method: 'POST', url, ...changed }, nowMillis);

describe('a proof that holds', () => {
  it.each(['ES256', 'ES384', 'ES512', 'RS256', 'PS256', 'Ed25519', 'EdDSA'])(
    'gives the thumbprint of its key: %s',
    async (algorithm) => {
      const by = await makeKey('any', algorithm);
      await expect(verify(await makeProof(by, url))).resolves.toEqual({ jkt: await thumbprintOfKey(by) });
    },
  );

  it('may carry what it does not need', async () => {
    const proof = await makeProof(
      key,
      url,
      { exp: testNowSeconds + 1, nbf: testNowSeconds, ath: 'of no token', nonce: 'not asked for' },
      { kid: 'mine', jwk: { ...publicJwkOf(key), kid: 'mine', alg: 'ES256', use: 'sig' } },
    );
    await expect(verify(proof)).resolves.toEqual({ jkt: await thumbprintOfKey(key) });
  });

  it('names the access token that comes with it', async () => {
    const proof = await makeProof(key, url, { ath: athOf(accessToken) });
    await expect(verify(proof, { accessToken })).resolves.toEqual({ jkt: await thumbprintOfKey(key) });
  });

  it.each([-60, 60])(
    'was made at most a minute ago, or from now by the clock of its maker: %i s',
    async (age) => {
      const proof = await makeProof(key, url, { iat: testNowSeconds - age });
      await expect(verify(proof)).resolves.toHaveProperty('jkt');
    },
  );
});

describe('any other proof', () => {
  const rsa = (modulusLength: number): JWK =>
    generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' });
  /** As if it held that key: signed by another, which is never looked at. */
  const holding = (jwk: JWK | string | undefined, header: Claims = {}) =>
    makeProof(key, url, {}, { jwk, ...header });
  const weak = rsa(1024);
  const huge: JWK = { ...weak, n: Buffer.alloc(2048, 0xff).toString('base64url') };

  it.each<[string, string, () => Promise<string>, object?]>([
    ['text', 'dpop.malformed', async () => 'proof'],
    ['two, as Node joins them', 'dpop.malformed', async () => `${await makeProof(key, url)}, x`],
    ['a long one', 'dpop.malformed', () => makeProof(key, url, { pad: 'x'.repeat(8192) })],
    ['an encrypted one', 'dpop.malformed', async () => 'a.b.c.d.e'],
    ['one with an extension', 'dpop.malformed', () => makeProof(key, url, {}, { jku: 'https://evil.test' })],
    ['one without a type', 'dpop.type_mismatch', () => makeProof(key, url, {}, { typ: undefined })],
    ['an access token', 'dpop.type_mismatch', () => makeProof(key, url, {}, { typ: 'at+jwt' })],
    ['another JWT', 'dpop.type_mismatch', () => makeProof(key, url, {}, { typ: 'JWT' })],
    ['an unsigned one', 'dpop.algorithm_refused', () => withHeader({ alg: 'none' })],
    ['one in capitals', 'dpop.algorithm_refused', () => withHeader({ alg: 'NONE' })],
    ['one without an algorithm', 'dpop.algorithm_refused', () => withHeader({ alg: undefined })],
    ['a MAC under the public key', 'dpop.algorithm_refused', () => withHeader({ alg: 'HS256' })],
    ['another curve’s', 'dpop.algorithm_refused', () => withHeader({ alg: 'ES384' })],
    [
      'another than its key says',
      'dpop.algorithm_refused',
      async () => holding({ ...publicJwkOf(await makeKey('rsa', 'PS256')), alg: 'RS256' }),
    ],
    ['one without a key', 'dpop.key_refused', () => holding(undefined)],
    ['one with a name of a key', 'dpop.key_refused', () => holding('key')],
    ['a private key', 'dpop.key_refused', async () => holding(await privateJwk())],
    ['an empty private part', 'dpop.key_refused', () => holding({ ...publicJwkOf(key), d: '' })],
    ['a symmetric key', 'dpop.key_refused', () => holding({ kty: 'oct', k: 'AAAA' }, { typ: 'dpop+jwt' })],
    ['RSA of 1024 bits', 'dpop.key_refused', () => holding(weak)],
    ['RSA of 16384 bits', 'dpop.key_refused', () => holding(huge)],
    ['RSA anyone can sign with', 'dpop.key_refused', () => holding({ ...rsa(2048), e: 'AQ' })],
    ['an unknown curve', 'dpop.key_refused', () => holding({ ...publicJwkOf(key), crv: 'secp256k1' })],
    [
      'a point off the curve',
      'dpop.key_refused',
      () => holding({ ...publicJwkOf(key), x: publicJwkOf(other).x ?? '' }),
    ],
    ['a key to encrypt with', 'dpop.key_refused', () => holding({ ...publicJwkOf(key), use: 'enc' })],
    ['another’s key', 'dpop.signature_invalid', () => holding(publicJwkOf(other))],
    ['a changed one', 'dpop.signature_invalid', async () => withClaims({ jti: 'another' })],
    ['one without an id', 'dpop.id_refused', () => makeProof(key, url, { jti: undefined })],
    ['an empty id', 'dpop.id_refused', () => makeProof(key, url, { jti: '' })],
    ['a number for an id', 'dpop.id_refused', () => makeProof(key, url, { jti: 1 })],
    ['a long id', 'dpop.id_refused', () => makeProof(key, url, { jti: 'x'.repeat(257) })],
    ['another method', 'dpop.method_mismatch', () => makeProof(key, url, { htm: 'GET' })],
    ['another spelling of it', 'dpop.method_mismatch', () => makeProof(key, url, { htm: 'post' })],
    ['no method', 'dpop.method_mismatch', () => makeProof(key, url, { htm: undefined })],
    ['another path', 'dpop.url_mismatch', () => makeProof(key, `${url}/`)],
    ['another host', 'dpop.url_mismatch', () => makeProof(key, 'https://evil.test/oauth/token')],
    ['no URL', 'dpop.url_mismatch', () => makeProof(key, url, { htu: undefined })],
    ['a list of URLs', 'dpop.url_mismatch', () => makeProof(key, url, { htu: [url] })],
    ['an old one', 'dpop.not_fresh', () => makeProof(key, url, { iat: testNowSeconds - 61 })],
    ['one of the future', 'dpop.not_fresh', () => makeProof(key, url, { iat: testNowSeconds + 61 })],
    ['one of no time', 'dpop.not_fresh', () => makeProof(key, url, { iat: undefined })],
    ['one of text as its time', 'dpop.not_fresh', () => makeProof(key, url, { iat: `${testNowSeconds}` })],
    ['one that is over', 'dpop.not_fresh', () => makeProof(key, url, { exp: testNowSeconds })],
    ['one that is yet to come', 'dpop.not_fresh', () => makeProof(key, url, { nbf: testNowSeconds + 61 })],
    ['one for no token', 'dpop.token_mismatch', () => makeProof(key, url), { accessToken }],
    [
      'one for another token',
      'dpop.token_mismatch',
      () => makeProof(key, url, { ath: athOf('d.e.f') }),
      { accessToken },
    ],
  ])('is refused: %s', async (_, reason, proof, changed = {}) => {
    const text = await proof();
    const error: unknown = await verify(text, changed).catch((refusal: unknown) => refusal);
    expect(error).toMatchObject({ reason, code: 'invalid_dpop_proof' });
    expect(String(error)).not.toContain(text);
  });

  it('whose JSON says a thing twice is refused', async () => {
    const [header, , signature] = (await makeProof(key, url)).split('.');
    const twice = `{"htm":"GET","htm":"POST","htu":"${url}","jti":"1","iat":${testNowSeconds}}`;
    await expect(verify([header, encode(twice), signature].join('.'))).rejects.toMatchObject({
      reason: 'dpop.malformed',
    });
  });
});

describe('a proof that was used', () => {
  it('is refused, though the same id of another key is not', async () => {
    const replayGuard = guardInMemory();
    const verifyOnce = createVerifyDpop({ replayGuard });
    const use = async (by: TestKey) =>
      verifyOnce({ proof: await makeProof(by, url, { jti: 'same' }), method: 'POST', url }, testNowMillis);
    await use(key);
    await expect(use(key)).rejects.toMatchObject({ reason: 'dpop.replayed', code: 'invalid_dpop_proof' });
    await expect(use(other)).resolves.toHaveProperty('jkt');
    expect([...replayGuard.claimed.values()]).toEqual([testNowMillis + 61_000, testNowMillis + 61_000]);
  });

  it('is remembered for as long as it could be shown again', async () => {
    const replayGuard = guardInMemory();
    const iat = testNowSeconds + 60;
    const proof = await makeProof(key, url, { iat });
    await createVerifyDpop({ replayGuard })({ proof, method: 'POST', url }, testNowMillis);
    const [expiresAt = 0] = replayGuard.claimed.values();
    await expect(verify(proof, {}, expiresAt - 1)).rejects.toMatchObject({ reason: 'dpop.not_fresh' });
  });

  it('is remembered only where it holds', async () => {
    const replayGuard = guardInMemory();
    const verifyOnce = createVerifyDpop({ replayGuard, nonces });
    const refusals = [
      makeProof(key, url),
      makeProof(key, url, { nonce: nonceNow() }, { jwk: publicJwkOf(other) }),
    ];
    for (const proof of await Promise.all(refusals)) {
      await expect(verifyOnce({ proof, method: 'POST', url }, testNowMillis)).rejects.toThrow();
    }
    expect(replayGuard.claimed.size).toBe(0);
  });

  it('is refused where nobody can know', async () => {
    const replayGuard = { claim: () => Promise.reject(new Error('no connection')) };
    const refusal = createVerifyDpop({ replayGuard })(
      { proof: await makeProof(key, url), method: 'POST', url },
      testNowMillis,
    );
    await expect(refusal).rejects.toMatchObject({
      reason: 'server.replay_guard_unavailable',
      code: 'temporarily_unavailable',
    });
  });
});

describe('a nonce', () => {
  const slotMillis = 120_000;
  const atSlot = (slot: number) => (Math.floor(testNowMillis / slotMillis) + slot) * slotMillis;
  const verifyWith = createVerifyDpop({ replayGuard: guardInMemory(), nonces });
  const show = async (nonce: unknown, nowMillis: number) => {
    const proof = await makeProof(key, url, { nonce, iat: nowMillis / 1000 });
    return verifyWith({ proof, method: 'POST', url }, nowMillis);
  };

  it('is accepted through its own slot and the next', async () => {
    const nonce = nonces.issue(atSlot(0));
    await expect(show(nonce, atSlot(0))).resolves.toHaveProperty('jkt');
    await expect(show(nonce, atSlot(2) - 1)).resolves.toHaveProperty('jkt');
    await expect(show(nonce, atSlot(2))).rejects.toMatchObject({ reason: 'dpop.nonce_refused' });
    await expect(show(nonce, atSlot(0) - 1)).rejects.toMatchObject({ reason: 'dpop.nonce_refused' });
  });

  it.each([
    ['none', undefined, 'dpop.nonce_missing'],
    [
      'another installation’s',
      createDpopNonces(new Secret(new Uint8Array(32))).issue(testNowMillis),
      'dpop.nonce_refused',
    ],
    ['an empty one', '', 'dpop.nonce_refused'],
    ['a number', 1, 'dpop.nonce_refused'],
    ['a list', [nonceNow()], 'dpop.nonce_refused'],
  ])('is asked for anew: %s', async (_, nonce, reason) => {
    await expect(show(nonce, testNowMillis)).rejects.toMatchObject({ reason, code: 'use_dpop_nonce' });
  });

  it('is the same from every replica that shares the key', () => {
    const replica = createDpopNonces(new Secret(new Uint8Array(32).fill(7)));
    expect(replica.issue(testNowMillis)).toBe(nonceNow());
    expect(nonceNow()).toMatch(/^[\w-]{22}$/);
    expect(nonces.issue(testNowMillis + slotMillis)).not.toBe(nonceNow());
  });
});

function nonceNow(): string {
  return nonces.issue(testNowMillis);
}

async function privateJwk(): Promise<JWK> {
  return await exportJWK(key.privateKey);
}

async function withHeader(changed: Claims): Promise<string> {
  const [, ...others] = (await makeProof(key, url)).split('.');
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: publicJwkOf(key), ...changed };
  return [encode(JSON.stringify(header)), ...others].join('.');
}

async function withClaims(changed: Claims): Promise<string> {
  const [header, , signature] = (await makeProof(key, url)).split('.');
  const claims = { jti: 'one', htm: 'POST', htu: url, iat: testNowSeconds, ...changed };
  return [header, encode(JSON.stringify(claims)), signature].join('.');
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url');
}
