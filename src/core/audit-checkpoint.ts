/** Signed checkpoints: what the heads of the chains were, so that a chain whose end is gone, or that was made anew, shows. */
import { constants, createPublicKey, hash, type VerifyKeyObjectInput, verify } from 'node:crypto';
import { z } from 'zod';
import { type TokenAlgorithm, tokenAlgorithms } from './algorithm.ts';
import type { ChainHead } from './audit-chain.ts';
import { OAuthError } from './error.ts';
import type { KeyRing, PublicJwk } from './ports.ts';

export const checkpointAction = 'audit.checkpoint';
/** No resource server takes it for an access token (RFC 9068 §4): neither this type, nor a token without audience and expiry. */
const checkpointType = 'audit-checkpoint+jwt';

const headerSchema = z.object({
  typ: z.literal(checkpointType),
  alg: z.enum(tokenAlgorithms),
  /** Kept here (RFC 7515 §4.1.3), so that the signature can be checked when the key is published no more. */
  jwk: z.looseObject({ kty: z.string() }).catchall(z.string()),
});
const claimsSchema = z.object({
  iss: z.string(),
  iat: z.int(),
  heads: z.array(z.object({ writer_id: z.string(), sequence: z.int(), hash: z.string() })),
  /** Thumbprints (RFC 7638) of all keys published then: a checkpoint that holds vouches for those of the keys before and after. */
  keys: z.array(z.string()),
});

export interface AuditCheckpoint {
  readonly heads: readonly ChainHead[];
  /** Thumbprints: of its own key, and of those that it vouches for. */
  readonly key: string;
  readonly vouchedKeys: readonly string[];
  /** Whether the signature is by the key that it names. */
  readonly isSigned: boolean;
}

/** Signs what the heads are. Throws `server.signer_unavailable`. */
export async function signCheckpoint(
  keyRing: KeyRing,
  issuer: string,
  heads: readonly ChainHead[],
  nowMillis: number,
): Promise<string> {
  const signer = keyRing.signer();
  const keys = keyRing.publicKeys();
  const jwk = keys.find(({ kid }) => kid === signer.kid);
  if (jwk === undefined) throw new OAuthError('server.signer_unavailable');
  const header = { typ: checkpointType, alg: signer.algorithm, kid: signer.kid, jwk };
  const claims = {
    iss: issuer,
    iat: Math.floor(nowMillis / 1000),
    heads: heads.map(({ writerId, sequence, hash }) => ({ writer_id: writerId, sequence, hash })),
    keys: keys.map(thumbprintOf),
  };
  const input = `${encode(header)}.${encode(claims)}`;
  const signature = await signer.sign(Buffer.from(input, 'ascii'));
  return `${input}.${Buffer.from(signature).toString('base64url')}`;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** The checkpoint of an event of `checkpointAction`; undefined where it cannot be read. */
export function readCheckpoint(jws: string): AuditCheckpoint | undefined {
  const [header = '', claims = '', signature = '', ...more] = jws.split('.');
  if (more.length > 0) return undefined;
  try {
    const { alg, jwk } = headerSchema.parse(decode(header));
    const { heads, keys } = claimsSchema.parse(decode(claims));
    return {
      heads: heads.map(({ writer_id: writerId, sequence, hash }) => ({ writerId, sequence, hash })),
      key: thumbprintOf(jwk),
      vouchedKeys: keys,
      isSigned: isSignedBy(jwk, alg, `${header}.${claims}`, Buffer.from(signature, 'base64url')),
    };
  } catch {
    return undefined; // not ours: the caller finds that a checkpoint is none
  }
}

function decode(part: string): unknown {
  return JSON.parse(Buffer.from(part, 'base64url').toString());
}

type CheckpointKey = Pick<PublicJwk, 'kty'> & { readonly [member: string]: string | undefined };

function isSignedBy(jwk: CheckpointKey, alg: TokenAlgorithm, input: string, signature: Uint8Array): boolean {
  const key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
  const options: Readonly<Record<TokenAlgorithm, [string | null, Omit<VerifyKeyObjectInput, 'key'>]>> = {
    ES256: ['sha256', { dsaEncoding: 'ieee-p1363' }],
    ES384: ['sha384', { dsaEncoding: 'ieee-p1363' }],
    RS256: ['sha256', {}],
    PS256: ['sha256', { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }],
    EdDSA: [null, {}],
  };
  const [digest, how] = options[alg];
  return verify(digest, Buffer.from(input, 'ascii'), { key, ...how }, signature);
}

/** RFC 7638. */
function thumbprintOf(jwk: CheckpointKey): string {
  const members = { EC: ['crv', 'kty', 'x', 'y'], OKP: ['crv', 'kty', 'x'], RSA: ['e', 'kty', 'n'] };
  const names = members[z.enum(['EC', 'OKP', 'RSA']).parse(jwk.kty)];
  return hash(
    'sha256',
    JSON.stringify(Object.fromEntries(names.map((name) => [name, jwk[name]]))),
    'base64url',
  );
}

/** The published keys, and those that a checkpoint signed by one of them vouches for, and so on. */
export function trustedKeys(
  checkpoints: readonly AuditCheckpoint[],
  published: readonly PublicJwk[],
): ReadonlySet<string> {
  const trusted = new Set(published.map(thumbprintOf));
  for (let size = 0; size !== trusted.size; ) {
    size = trusted.size;
    for (const { key, vouchedKeys, isSigned } of checkpoints) {
      if (isSigned && trusted.has(key)) for (const vouched of vouchedKeys) trusted.add(vouched);
    }
  }
  return trusted;
}
