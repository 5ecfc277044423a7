/** The published form of a public key. */
import { createHash } from 'node:crypto';
import type { TokenAlgorithm } from './algorithm.ts';
import type { PublicJwk } from './ports.ts';

/** Its `kid` is the JWK thumbprint of RFC 7638. `members` are those that its §3.2 hashes, in their order. */
export function publicJwkOf(members: Readonly<Record<string, string>>, algorithm: TokenAlgorithm): PublicJwk {
  const { kty } = members;
  if (kty === undefined) throw new Error('a public key without a type');
  const kid = createHash('sha256').update(JSON.stringify(members)).digest('base64url');
  return { ...members, kty, kid, alg: algorithm, use: 'sig' };
}
