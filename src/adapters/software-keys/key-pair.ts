/** One key pair of each algorithm that tokens are signed with: made, published and used. */
import { createPublicKey, generateKeyPair, type KeyObject, subtle } from 'node:crypto';
import { promisify } from 'node:util';
import type { TokenAlgorithm } from '../../core/algorithm.ts';
import type { PublicJwk, Signer } from '../../core/ports.ts';
import { publicJwkOf } from '../../core/public-jwk.ts';

const rsaBits = 3072;
const generate = promisify(generateKeyPair);

interface Kind {
  /** Off the main thread. */
  readonly make: () => Promise<KeyObject>;
  /** The members of its JWK that RFC 7638 §3.2 hashes, in their order. */
  readonly members: readonly string[];
  readonly curve?: string;
  readonly imported: { readonly name: string; readonly namedCurve?: string; readonly hash?: string };
  readonly signed: { readonly name: string; readonly hash?: string; readonly saltLength?: number };
}

const ecdsa = (curve: string, hash: string): Kind => ({
  make: async () => (await generate('ec', { namedCurve: curve })).privateKey,
  members: ['crv', 'kty', 'x', 'y'],
  curve,
  imported: { name: 'ECDSA', namedCurve: curve },
  signed: { name: 'ECDSA', hash },
});

const rsa = (name: string, saltLength?: number): Kind => ({
  make: async () => (await generate('rsa', { modulusLength: rsaBits })).privateKey,
  members: ['e', 'kty', 'n'],
  imported: { name, hash: 'SHA-256' },
  signed: { name, ...(saltLength === undefined ? {} : { saltLength }) },
});

const kinds: Record<TokenAlgorithm, Kind> = {
  ES256: ecdsa('P-256', 'SHA-256'),
  ES384: ecdsa('P-384', 'SHA-384'),
  RS256: rsa('RSASSA-PKCS1-v1_5'),
  PS256: rsa('RSA-PSS', 32), // as long as the hash, RFC 7518 §3.5
  EdDSA: {
    make: async () => (await generate('ed25519')).privateKey,
    members: ['crv', 'kty', 'x'],
    curve: 'Ed25519',
    imported: { name: 'Ed25519' },
    signed: { name: 'Ed25519' },
  },
};

export function makePrivateKey(algorithm: TokenAlgorithm): Promise<KeyObject> {
  return kinds[algorithm].make();
}

/** The public half, its `kid` the JWK thumbprint of RFC 7638. Throws where the key is not one of this algorithm. */
export function toPublicJwk(privateKey: KeyObject, algorithm: TokenAlgorithm): PublicJwk {
  const { members, curve } = kinds[algorithm];
  const exported: Record<string, unknown> = { ...createPublicKey(privateKey).export({ format: 'jwk' }) };
  const material: Record<string, string> = {};
  for (const member of members) {
    const value = exported[member];
    if (typeof value === 'string') material[member] = value;
  }
  if (Object.keys(material).length !== members.length || material.crv !== curve) {
    throw new Error(`a signing key is not one of ${algorithm}`);
  }
  return publicJwkOf(material, algorithm);
}

/** WebCrypto signs on the thread pool, ECDSA as R ‖ S as RFC 7518 §3.4 wants, for half of the main thread's time that `crypto.sign` takes. */
export function toSigner(kid: string, privateKey: KeyObject, algorithm: TokenAlgorithm): Signer {
  const { imported, signed } = kinds[algorithm];
  const key = privateKey.toCryptoKey(imported, false, ['sign']);
  return {
    kid,
    algorithm,
    sign: async (input) => new Uint8Array(await subtle.sign(signed, key, new Uint8Array(input))),
  };
}
