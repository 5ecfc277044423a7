/** Finds the key that a token names among the keys of its own issuer or trust domain, and checks the signature with it. */
import { type CryptoKey, errors, flattenedVerify } from 'jose';
import { refuse } from '../core/error.ts';
import { echo, echoAll } from './echo.ts';
import type { KeySet, VerificationKey } from './jwk.ts';
import type { KeySource } from './jwks.ts';
import type { CompactJws } from './jwt.ts';

const maxKeysTried = 4;

/** What came of the keys that were tried on one token, by their fingerprints. */
export type TriedKeys = Map<string, Promise<boolean>>;

/**
 * Resolves when one of the source's keys made the token's signature. With `tried`, a key that several sources publish is
 * tried once: a stranger's token must not cost a signature for each of the issuers behind one `iss`. Throws `credential.key_unknown`,
 * `credential.algorithm_refused`, `credential.signature_invalid` or `credential.keys_unavailable`.
 */
export async function verifySignature(
  jws: CompactJws,
  source: KeySource,
  tried: TriedKeys = new Map(),
): Promise<void> {
  const { algorithm, kid } = jws;
  const inForce = source.keys();
  let keys = inForce instanceof Promise ? await inForce : inForce;
  let named = keysNamed(keys, kid);
  if (named.length === 0 && kid !== undefined && !keys.refused.has(kid)) {
    keys = await source.keysAfterMiss(kid);
    named = keysNamed(keys, kid);
  }
  if (named.length === 0) refuseUnknownKey(keys, kid);
  const usable = named.filter((key) => key.algorithms.includes(algorithm));
  if (usable.length === 0) {
    const expected = echoAll(named.flatMap((key) => key.algorithms));
    refuse('credential.algorithm_refused', `alg: the key admits ${expected}, actual ${echo(algorithm)}`);
  }
  if (kid === undefined && usable.length > 1) {
    refuse(
      'credential.key_unknown',
      `the token names no kid, and ${usable.length} keys could have signed it`,
    );
  }
  for (const key of usable.slice(0, maxKeysTried)) {
    if (await isSignedByOnce(jws, key, tried)) return;
  }
  refuse('credential.signature_invalid', `kid ${echo(kid)}, alg ${echo(algorithm)}`);
}

function isSignedByOnce(jws: CompactJws, key: VerificationKey, tried: TriedKeys): Promise<boolean> {
  const known = tried.get(key.fingerprint);
  if (known !== undefined) return known;
  const verdict = importKey(key, jws.algorithm).then((imported) => isSignedBy(jws, imported));
  tried.set(key.fingerprint, verdict);
  return verdict;
}

function keysNamed(keys: KeySet, kid: string | undefined): readonly VerificationKey[] {
  return kid === undefined ? keys.keys : keys.keys.filter((key) => key.kid === kid);
}

function refuseUnknownKey(keys: KeySet, kid: string | undefined): never {
  if (keys.keys.length === 0) refuse('credential.key_unknown', 'the issuer publishes no usable key');
  const unfit = kid === undefined ? undefined : keys.refused.get(kid);
  if (unfit !== undefined)
    refuse('credential.key_unknown', `kid ${echo(kid)} is published but not used: ${unfit}`);
  const published = echoAll(keys.keys.map((key) => key.kid));
  refuse('credential.key_unknown', `kid: published ${published}, actual ${echo(kid)}`);
}

async function importKey(key: VerificationKey, algorithm: string): Promise<CryptoKey> {
  try {
    return await key.cryptoKey(algorithm);
  } catch (cause) {
    return refuse(
      'credential.key_unknown',
      `kid ${echo(key.kid)} is published but is not a valid key`,
      cause,
    );
  }
}

async function isSignedBy({ token, signingInput, algorithm }: CompactJws, key: CryptoKey): Promise<boolean> {
  const dot = signingInput.indexOf('.');
  const jws = {
    protected: signingInput.slice(0, dot),
    payload: signingInput.slice(dot + 1),
    signature: token.slice(signingInput.length + 1),
  };
  try {
    await flattenedVerify(jws, key, { algorithms: [algorithm] });
    return true;
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed) return false;
    // jose's own reading of the token is a second opinion; its messages hold no token text, but none is needed.
    return refuse('credential.malformed', 'the token cannot be read as a signed JWT');
  }
}
