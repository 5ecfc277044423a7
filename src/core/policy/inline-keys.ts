/** What may stand in a JWK Set (RFC 7517) that is written into a document: public keys that can be used, nothing else. */
import { createPublicKey, type JsonWebKey, X509Certificate } from 'node:crypto';
import type { FieldProblem } from './schema-sentences.ts';
import type { FieldPath } from './source.ts';

export interface InlineJwks {
  readonly keys: readonly { readonly kty: string; readonly [member: string]: unknown }[];
}

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']; // RFC 7518 §6.2.2, §6.3.2, §6.4.1
const minRsaBits = 2048;

/** Everything that is wrong with a key set at `path`; `use` is what each key must say it is for. Never echoes a key. */
export function inlineKeysProblems(
  jwks: InlineJwks,
  path: FieldPath,
  use: 'sig' | 'jwt-svid',
): FieldProblem[] {
  const keysPath = [...path, 'keys'];
  if (jwks.keys.length === 0) return [{ path: keysPath, message: 'must hold at least one key' }];
  const seen = new Set<unknown>();
  return jwks.keys.flatMap((key, index) => {
    const at = [...keysPath, index];
    const { kid } = key;
    const isRepeated = kid !== undefined && seen.has(kid);
    seen.add(kid);
    if (isRepeated) return [{ path: [...at, 'kid'], message: 'another key of this set has the same kid' }];
    return keyProblems(key, at, use);
  });
}

function keyProblems(
  key: InlineJwks['keys'][number],
  path: FieldPath,
  use: 'sig' | 'jwt-svid',
): FieldProblem[] {
  if (key.kty === 'oct') {
    return [{ path: [...path, 'kty'], message: 'a symmetric key is a shared secret: give a public key' }];
  }
  const secret = privateMembers.find((member) => Object.hasOwn(key, member));
  if (secret !== undefined) {
    const message = `holds "${secret}", a private part: give only the public key, and treat this one as leaked`;
    return [{ path: [...path, secret], message }];
  }
  const problems: FieldProblem[] = [];
  if (key.kid !== undefined && (typeof key.kid !== 'string' || key.kid === '')) {
    problems.push({ path: [...path, 'kid'], message: 'must be a string that is not empty' });
  }
  if (use === 'jwt-svid' && key.use === 'x509-svid') {
    return isRoot(key.x5c) ? problems : [...problems, { path: [...path, 'x5c'], message: rootProblem }];
  }
  if (use === 'jwt-svid') {
    // SPIFFE Trust Domain and Bundle §4.2.
    if (key.use !== use) {
      problems.push({ path: [...path, 'use'], message: 'must be jwt-svid or x509-svid' });
    }
    if (key.kid === undefined) {
      problems.push({ path: [...path, 'kid'], message: 'is missing: each key of a bundle has a kid' });
    }
  } else if (key.use !== undefined && key.use !== use) {
    problems.push({ path: [...path, 'use'], message: 'must be sig, or left out' });
  }
  const unusable = unusableReason(key);
  return unusable === undefined ? problems : [...problems, { path, message: unusable }];
}

const rootProblem = 'must hold one authority’s certificate, as base64 of its DER';

/** SPIFFE bundle §4.2.2: the authority's certificate, alone in the list. */
function isRoot(x5c: unknown): boolean {
  if (!Array.isArray(x5c) || x5c.length !== 1 || typeof x5c[0] !== 'string') return false;
  try {
    return new X509Certificate(Buffer.from(x5c[0], 'base64')).ca;
  } catch {
    return false;
  }
}

function unusableReason(key: InlineJwks['keys'][number]): string | undefined {
  try {
    const imported = createPublicKey({ key: key as JsonWebKey, format: 'jwk' });
    const bits = imported.asymmetricKeyDetails?.modulusLength;
    return bits === undefined || bits >= minRsaBits
      ? undefined
      : `an RSA key needs at least ${minRsaBits} bits, not ${bits}`;
  } catch {
    return 'is not a complete public key: an EC key has crv, x and y, an RSA key n and e, an OKP key crv and x';
  }
}

/** What two key sets have in common where one token could verify under both: the keys themselves and their kids. */
export function inlineKeyMarks(jwks: InlineJwks | undefined): ReadonlySet<string> {
  return new Set(jwks?.keys.flatMap(keyMarks));
}

function keyMarks(key: InlineJwks['keys'][number]): readonly string[] {
  const material = JSON.stringify([key.kty, key.crv, key.x, key.y, key.n, key.e]);
  return key.kid === undefined ? [material] : [material, `kid ${String(key.kid)}`];
}
