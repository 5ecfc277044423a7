/** DPoP proofs (RFC 9449 §4.2) as a client makes them, and what a client's key is called. */
import { hash, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { signingAlgorithms } from '../../src/core/algorithm.ts';
import { type Claims, signToken, type TestKey, testNowSeconds } from './tokens.ts';

/** The public key without the `kid` that tests give it: what a proof holds. */
export function publicJwkOf({ publicJwk }: TestKey): JWK {
  const { kid: _, ...jwk } = publicJwk;
  return jwk;
}

export function thumbprintOfKey(key: TestKey): Promise<string> {
  return calculateJwkThumbprint(publicJwkOf(key));
}

/** `ath` of a token; of a certificate in DER, `x5t#S256` (RFC 8705 §3.1). */
export function athOf(value: string | Uint8Array): string {
  return hash('sha256', value, 'base64url');
}

/** A proof for `POST url` at the tests' time; a claim or header parameter that is undefined is left out. */
export function makeProof(key: TestKey, url: string, claims: Claims = {}, header: Claims = {}) {
  return signToken(
    key,
    { jti: randomUUID(), htm: 'POST', htu: url, iat: testNowSeconds, ...claims },
    { typ: 'dpop+jwt', kid: undefined, jwk: publicJwkOf(key), ...header },
  );
}

/** How our own endpoints say that they take bound tokens too. */
export const dpopChallenge = `DPoP algs="${signingAlgorithms.join(' ')}"`;
