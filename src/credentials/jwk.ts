/** Public keys as others publish them (RFC 7517): which are fit to verify with, and with which algorithms. */
import { type CryptoKey, importJWK, type JWK } from 'jose';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import { type Certificate, readCertificate } from './certificate.ts';

export interface VerificationKey {
  readonly kid: string | undefined;
  /** What this key may verify: by its own type and curve, narrowed to its `alg`; never by what a token says. */
  readonly algorithms: readonly string[];
  /** Imports on first use, then gives the same key again. */
  cryptoKey(algorithm: string): Promise<CryptoKey>;
  /** The JWK as text, to recognise the same key when it is published again. */
  readonly fingerprint: string;
}

export interface KeySet {
  readonly keys: readonly VerificationKey[];
  /** Why published keys of these ids are not used. */
  readonly refused: ReadonlyMap<string, string>;
  /** The roots that a bundle publishes for X.509-SVIDs; absent where it has none. */
  readonly roots?: readonly Certificate[];
}

/** What a set of keys is published for; a key for another `use` is not ours to trust. */
export type KeyUse = 'sig' | 'jwt-svid';

const maxKeys = 100;
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];
const rsaAlgorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const algorithmByCurve: Record<string, readonly string[]> = {
  'P-256': ['ES256'],
  'P-384': ['ES384'],
  'P-521': ['ES512'],
};
const minRsaBits = 2048; // RFC 7518 §3.3
const maxRsaBits = 8192; // beyond it, one verification costs too much

/** Reads `{"keys": […]}`. Keys that are not fit are left out one by one; throws an Error when the whole is not a key set. */
export function readKeySet(value: unknown, use: KeyUse, previous?: KeySet): KeySet {
  if (!isJsonObject(value) || !Array.isArray(value.keys)) throw new Error('not a JSON Web Key Set');
  const jwks: readonly unknown[] = value.keys;
  if (jwks.length > maxKeys) throw new Error(`expected at most ${maxKeys} keys, actual ${jwks.length}`);
  const known = new Map(previous?.keys.map((key) => [key.fingerprint, key]));
  const keys: VerificationKey[] = [];
  const refused = new Map<string, string>();
  for (const jwk of jwks) {
    if (!isJsonObject(jwk)) continue;
    const { kid } = jwk;
    const unfit = unfitness(jwk, use);
    if (unfit === undefined) {
      const fingerprint = JSON.stringify(jwk);
      keys.push(known.get(fingerprint) ?? verificationKey(jwk, fingerprint));
    } else if (typeof kid === 'string') {
      refused.set(kid, unfit);
    }
  }
  if (use === 'sig') return { keys, refused };
  const roots = rootsOf(jwks);
  return { keys: withUniqueIds(keys, refused), refused, ...(roots.length === 0 ? {} : { roots }) };
}

/** SPIFFE bundle §4.2.2, X509-SVID §6.1: the first certificate of each `x5c`, in base64; one that cannot be read is left out. */
function rootsOf(jwks: readonly unknown[]): readonly Certificate[] {
  return jwks.flatMap((jwk) => {
    if (!isJsonObject(jwk) || jwk.use !== 'x509-svid' || !Array.isArray(jwk.x5c)) return [];
    const [der]: readonly unknown[] = jwk.x5c;
    if (typeof der !== 'string') return [];
    try {
      return [readCertificate(Buffer.from(der, 'base64'))];
    } catch {
      return [];
    }
  });
}

/** One key that somebody brings along. Throws an Error that says why it is not fit to verify with. */
export function readPublicKey(jwk: JsonObject): VerificationKey {
  const unfit = unfitness(jwk, 'sig');
  if (unfit !== undefined) throw new Error(unfit);
  return verificationKey(jwk, JSON.stringify(jwk));
}

function unfitness(jwk: JsonObject, use: KeyUse): string | undefined {
  const { kty, kid, alg, key_ops: operations } = jwk;
  if (kty === 'oct') return 'it is a symmetric key';
  if (privateMembers.some((member) => Object.hasOwn(jwk, member))) return 'its private part is published';
  if (use === 'jwt-svid' && jwk.use !== 'jwt-svid') return 'its use is not jwt-svid'; // SPIFFE bundle §4.2.2
  if (use === 'sig' && jwk.use !== undefined && jwk.use !== 'sig') return 'its use is not sig';
  if (use === 'jwt-svid' && typeof kid !== 'string') return 'it has no kid';
  if (kid !== undefined && typeof kid !== 'string') return 'its kid is not a string';
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    return 'its key_ops leave out verify';
  }
  if (kty === 'RSA') {
    const bits = bitLength(jwk.n);
    if (bits < minRsaBits || bits > maxRsaBits) return `its modulus has ${bits} bits`;
    if (!isSaneExponent(jwk.e)) return 'its public exponent is not accepted';
  }
  if (algorithmsOfType(jwk).length === 0) return 'its type or curve is not supported';
  if (alg !== undefined && algorithmsOf(jwk).length === 0) return 'its alg is not one of its type';
  return undefined;
}

function algorithmsOfType({ kty, crv }: JsonObject): readonly string[] {
  if (kty === 'RSA') return rsaAlgorithms;
  if (kty === 'EC' && typeof crv === 'string' && Object.hasOwn(algorithmByCurve, crv)) {
    return algorithmByCurve[crv] ?? [];
  }
  // RFC 9864 renames EdDSA with this curve to Ed25519; both names are in use.
  return kty === 'OKP' && crv === 'Ed25519' ? ['EdDSA', 'Ed25519'] : [];
}

function algorithmsOf(jwk: JsonObject): readonly string[] {
  const ofType = algorithmsOfType(jwk);
  return jwk.alg === undefined ? ofType : ofType.filter((algorithm) => algorithm === jwk.alg);
}

function verificationKey(jwk: JsonObject, fingerprint: string): VerificationKey {
  const imported = new Map<string, Promise<CryptoKey>>();
  return {
    kid: typeof jwk.kid === 'string' ? jwk.kid : undefined,
    algorithms: algorithmsOf(jwk),
    fingerprint,
    cryptoKey: (algorithm) => {
      const key = imported.get(algorithm) ?? importPublic(jwk, algorithm);
      imported.set(algorithm, key);
      return key;
    },
  };
}

async function importPublic(jwk: JsonObject, algorithm: string): Promise<CryptoKey> {
  const key = await importJWK(publicMembersOf(jwk), algorithm);
  if (key instanceof Uint8Array) throw new Error('not a public key');
  return key;
}

/** Only the public members: whatever else the publisher wrote must not change what the key is. */
export function publicMembersOf(jwk: JsonObject): JWK {
  const members = ['kty', 'n', 'e', 'crv', 'x', 'y'].filter((member) => typeof jwk[member] === 'string');
  return Object.fromEntries(members.map((member) => [member, jwk[member]]));
}

/** In a bundle a kid names one key; where it names two, neither is trusted (SPIFFE bundle §4.2.1). */
function withUniqueIds(
  keys: readonly VerificationKey[],
  refused: Map<string, string>,
): readonly VerificationKey[] {
  const counts = new Map<string | undefined, number>();
  for (const { kid } of keys) counts.set(kid, (counts.get(kid) ?? 0) + 1);
  return keys.filter(({ kid }) => {
    if (counts.get(kid) === 1) return true;
    if (kid !== undefined) refused.set(kid, 'two keys of the bundle have this kid');
    return false;
  });
}

function bitLength(value: unknown): number {
  if (typeof value !== 'string') return 0;
  const bytes = Buffer.from(value, 'base64url');
  const first = bytes.findIndex((byte) => byte !== 0);
  return first === -1 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first] ?? 0) + 24;
}

/** Odd, at least 3 and at most 32 bits: with 1, anyone could sign. */
function isSaneExponent(value: unknown): boolean {
  const bits = bitLength(value);
  if (typeof value !== 'string' || bits < 2 || bits > 32) return false;
  return ((Buffer.from(value, 'base64url').at(-1) ?? 0) & 1) === 1;
}
