import { exportJWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { readKeySet } from '../../../src/credentials/jwk.ts';
import { makeKey, type TestKey } from '../../support/tokens.ts';

let ec: TestKey;
let rsa: TestKey;
let okp: TestKey;

beforeAll(async () => {
  [ec, rsa, okp] = await Promise.all([makeKey('ec'), makeKey('rsa', 'RS256'), makeKey('okp', 'EdDSA')]);
});

const read = (jwk: object, use: 'sig' | 'jwt-svid' = 'sig') => readKeySet({ keys: [jwk] }, use);

describe('readKeySet', () => {
  it('derives algorithms from the type and curve where a key names none', () => {
    const { keys } = readKeySet({ keys: [ec.publicJwk, rsa.publicJwk, okp.publicJwk] }, 'sig');
    expect(keys.map(({ algorithms }) => algorithms)).toEqual([
      ['ES256'],
      ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
      ['EdDSA', 'Ed25519'],
    ]);
  });

  it("narrows them to the key's own alg", () => {
    expect(read({ ...rsa.publicJwk, alg: 'PS256' }).keys[0]?.algorithms).toEqual(['PS256']);
  });

  it('imports a key once, and keeps it when it is published again unchanged', async () => {
    const first = readKeySet({ keys: [ec.publicJwk] }, 'sig');
    const again = readKeySet({ keys: [rsa.publicJwk, { ...ec.publicJwk }] }, 'sig', first);
    const imported = await first.keys[0]?.cryptoKey('ES256');
    expect(imported).toBeDefined();
    expect(await first.keys[0]?.cryptoKey('ES256')).toBe(imported);
    expect(await again.keys[1]?.cryptoKey('ES256')).toBe(imported);
  });

  it.each<[string, () => Promise<object> | object, string]>([
    ['a symmetric key', () => ({ kty: 'oct', k: 'c2VjcmV0', kid: 'x' }), 'it is a symmetric key'],
    [
      'a private key',
      async () => ({ ...(await exportJWK(ec.privateKey)), kid: 'x' }),
      'its private part is published',
    ],
    ['a key for encryption', () => ({ ...ec.publicJwk, kid: 'x', use: 'enc' }), 'its use is not sig'],
    [
      'a key for wrapping',
      () => ({ ...ec.publicJwk, kid: 'x', key_ops: ['wrapKey'] }),
      'its key_ops leave out verify',
    ],
    [
      "another type's alg",
      () => ({ ...ec.publicJwk, kid: 'x', alg: 'RS256' }),
      'its alg is not one of its type',
    ],
    [
      'a symmetric alg',
      () => ({ ...rsa.publicJwk, kid: 'x', alg: 'HS256' }),
      'its alg is not one of its type',
    ],
    [
      'an unknown curve',
      () => ({ ...ec.publicJwk, kid: 'x', crv: 'secp256k1' }),
      'its type or curve is not supported',
    ],
    [
      'a curve named like a member',
      () => ({ ...ec.publicJwk, kid: 'x', crv: 'constructor' }),
      'its type or curve is not supported',
    ],
    [
      'an exponent of 1',
      () => ({ ...rsa.publicJwk, kid: 'x', e: 'AQ' }),
      'its public exponent is not accepted',
    ],
    [
      'an even exponent',
      () => ({ ...rsa.publicJwk, kid: 'x', e: 'BA' }),
      'its public exponent is not accepted',
    ],
    [
      'a short RSA key',
      async () => ({ ...(await makeShortRsaJwk()), kid: 'x' }),
      'its modulus has 1024 bits',
    ],
    ['a padded short RSA key', async () => padded(await makeShortRsaJwk()), 'its modulus has 1024 bits'],
  ])('leaves out %s', async (_what, jwk, why) => {
    const keySet = readKeySet({ keys: [await jwk(), rsa.publicJwk] }, 'sig');
    expect(keySet.keys.map(({ kid }) => kid)).toEqual(['rsa']);
    expect(keySet.refused.get('x')).toBe(why);
  });

  it('takes for a bundle only keys for JWT-SVIDs, each with a kid of its own', () => {
    const { kid: _kid, ...nameless } = ec.publicJwk;
    const svid = { use: 'jwt-svid' };
    const bundle = readKeySet(
      {
        keys: [
          { ...ec.publicJwk, ...svid },
          { ...rsa.publicJwk, use: 'sig' },
          { ...rsa.publicJwk, kid: 'x509', use: 'x509-svid' },
          { ...nameless, ...svid },
          { ...okp.publicJwk, kid: 'twice', ...svid },
          { ...rsa.publicJwk, kid: 'twice', ...svid },
          { ...rsa.publicJwk, kid: 'none' },
        ],
      },
      'jwt-svid',
    );
    expect(bundle.keys.map(({ kid }) => kid)).toEqual(['ec']);
    expect(Object.fromEntries(bundle.refused)).toEqual({
      rsa: 'its use is not jwt-svid',
      x509: 'its use is not jwt-svid',
      twice: 'two keys of the bundle have this kid',
      none: 'its use is not jwt-svid',
    });
  });

  it('accepts 100 keys and refuses the whole of a set of 101', () => {
    const many = (count: number) => ({ keys: Array.from({ length: count }, () => ec.publicJwk) });
    expect(readKeySet(many(100), 'sig').keys).toHaveLength(100);
    expect(() => readKeySet(many(101), 'sig')).toThrow('at most 100 keys, actual 101');
  });

  it.each([[null], [[]], [{}], [{ keys: {} }]])('refuses %j, which is not a key set', (value) => {
    expect(() => readKeySet(value, 'sig')).toThrow('not a JSON Web Key Set');
  });
});

async function makeShortRsaJwk(): Promise<object> {
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 1024,
    publicExponent: new Uint8Array([1, 0, 1]),
  };
  const { publicKey } = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  return await exportJWK(publicKey);
}

/** Zeros in front make a modulus longer, not stronger. */
function padded(jwk: object): object {
  const n = 'n' in jwk ? String(jwk.n) : '';
  return {
    ...jwk,
    kid: 'x',
    n: Buffer.concat([Buffer.alloc(128), Buffer.from(n, 'base64url')]).toString('base64url'),
  };
}
