/** Proof that a token holds the private half of a public key: a signature over a number that nobody can know before. */
import { constants, createPublicKey, randomBytes, verify } from 'node:crypto';
import type { TokenAlgorithm } from '../../core/algorithm.ts';

const verification: Readonly<Record<TokenAlgorithm, { hash: string | null; padding?: number }>> = {
  ES256: { hash: 'sha256' },
  ES384: { hash: 'sha384' },
  RS256: { hash: 'sha256', padding: constants.RSA_PKCS1_PADDING },
  PS256: { hash: 'sha256', padding: constants.RSA_PKCS1_PSS_PADDING },
  EdDSA: { hash: null },
};

/** Anybody who is let near a token can put a public key in it; this one must verify what the private key signs. */
export async function provesItself(
  members: Readonly<Record<string, string>>,
  algorithm: TokenAlgorithm,
  sign: (input: Uint8Array) => Promise<Uint8Array>,
): Promise<boolean> {
  // Without a dot it can never be the signing input of a token.
  const challenge = Buffer.from(`mintmark proof ${randomBytes(32).toString('base64url')}`);
  const { hash, padding } = verification[algorithm];
  const key = createPublicKey({ format: 'jwk', key: members });
  const parameters = padding === undefined ? {} : { padding, saltLength: 32 };
  return verify(hash, challenge, { key, dsaEncoding: 'ieee-p1363', ...parameters }, await sign(challenge));
}
