/** The proof that a token holds a private key: only the key itself passes it, for each algorithm. */
import { expect, test } from 'vitest';
import { tokenAlgorithms } from '../../core/algorithm.ts';
import { provesItself } from './proof.ts';

const generations = {
  ES256: [
    { name: 'ECDSA', namedCurve: 'P-256' },
    { name: 'ECDSA', hash: 'SHA-256' },
  ],
  ES384: [
    { name: 'ECDSA', namedCurve: 'P-384' },
    { name: 'ECDSA', hash: 'SHA-384' },
  ],
  RS256: [rsa('RSASSA-PKCS1-v1_5'), { name: 'RSASSA-PKCS1-v1_5' }],
  PS256: [rsa('RSA-PSS'), { name: 'RSA-PSS', saltLength: 32 }],
  EdDSA: [{ name: 'Ed25519' }, { name: 'Ed25519' }],
} as const;

function rsa(name: string) {
  return { name, modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: 'SHA-256' };
}

test.each(tokenAlgorithms)('%s: the key itself passes, another one does not', async (algorithm) => {
  const [generation, signing] = generations[algorithm];
  const make = async () => {
    const pair = await crypto.subtle.generateKey(generation, true, ['sign', 'verify']);
    if (!('privateKey' in pair)) throw new Error('no pair');
    const { kty = '', crv, x, y, n, e } = await crypto.subtle.exportKey('jwk', pair.publicKey);
    const entries = Object.entries({ kty, crv, x, y, n, e });
    const members = Object.fromEntries(entries.filter((entry): entry is [string, string] => !!entry[1]));
    const sign = async (input: Uint8Array) => {
      const signature = await crypto.subtle.sign(signing, pair.privateKey, new Uint8Array(input));
      return new Uint8Array(signature);
    };
    return { members, sign };
  };
  const [one, other] = [await make(), await make()];
  expect(await provesItself(one.members, algorithm, one.sign)).toBe(true);
  expect(await provesItself(one.members, algorithm, other.sign)).toBe(false);
});
