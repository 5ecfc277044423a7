/** Verifies DPoP proofs (RFC 9449 §4.3): that whoever sends a request holds the key that the proof names, now and for this request. */
import { hash } from 'node:crypto';
import { type CryptoKey, calculateJwkThumbprint, flattenedVerify } from 'jose';
import { OAuthError, refuse } from '../core/error.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import type { ReplayGuard, ShownProof, VerifyDpop } from '../core/ports.ts';
import { normalProofUrl } from '../core/proof-url.ts';
import type { DpopNonces } from './dpop-nonce.ts';
import { echo } from './echo.ts';
import { publicMembersOf, readPublicKey, type VerificationKey } from './jwk.ts';
import { type CompactJws, readCompactJws } from './jwt.ts';

export interface DpopRules {
  readonly replayGuard: ReplayGuard;
  /** Set where a proof must hold a nonce of ours. Left out where a caller could not be told one. */
  readonly nonces?: Pick<DpopNonces, 'accepts'> | undefined;
}

const maxProofLength = 8 * 1024; // the longest key that is accepted, with room to spare
const maxIdLength = 256;
/** How far `iat` may be from our clock, either way. */
const windowSeconds = 60;

/**
 * One verifier a server. What costs least is asked first: a proof without a nonce costs no signature, and only a proof that
 * holds is remembered, so that the memory cannot be filled with what anyone can write.
 */
export function createVerifyDpop({ replayGuard, nonces }: DpopRules): VerifyDpop {
  return async (shown, nowMillis) => {
    const jws = readProof(shown.proof);
    if (jws.type !== 'dpop+jwt') refuse('dpop.type_mismatch', `typ: actual ${echo(jws.type)}`);
    const { jwk } = jws.header;
    if (!isJsonObject(jwk)) return refuse('dpop.key_refused', 'jwk is no JSON object');
    const key = readKey(jwk);
    // The algorithms are the key's own, all of them asymmetric, never what the proof says (RFC 8725 §3.1).
    if (!key.algorithms.includes(jws.algorithm)) {
      refuse('dpop.algorithm_refused', `alg: actual ${echo(jws.algorithm)}`);
    }
    const { jti, endsAt } = readClaims(jws.claims, shown, nowMillis / 1000);
    if (nonces) requireNonce(jws.claims.nonce, nonces, nowMillis);
    await requireSigned(jws, key);
    const jkt = await calculateJwkThumbprint(publicMembersOf(jwk), 'sha256');
    const isFirst = await replayGuard.claim(onceKey(jkt, jti), endsAt * 1000).catch((cause) => {
      throw new OAuthError('server.replay_guard_unavailable', { cause });
    });
    if (!isFirst) refuse('dpop.replayed');
    return { jkt };
  };
}

function readProof(proof: string): CompactJws {
  if (proof.length > maxProofLength) {
    refuse('dpop.malformed', `expected at most ${maxProofLength} bytes, actual ${proof.length}`);
  }
  try {
    return readCompactJws(proof, 'jwk');
  } catch (cause) {
    if (!(cause instanceof OAuthError)) throw cause;
    const isAlgorithm = cause.reason === 'credential.algorithm_refused';
    return refuse(isAlgorithm ? 'dpop.algorithm_refused' : 'dpop.malformed', cause.detail, cause);
  }
}

function readKey(jwk: JsonObject): VerificationKey {
  try {
    return readPublicKey(jwk);
  } catch (cause) {
    return refuse('dpop.key_refused', cause instanceof Error ? cause.message : undefined, cause);
  }
}

/** Returns the proof's id, and until when (in seconds) it has to be remembered. */
function readClaims(claims: JsonObject, shown: ShownProof, nowSeconds: number) {
  const { jti, htm, htu, iat, exp, nbf, ath } = claims;
  if (typeof jti !== 'string' || jti === '' || jti.length > maxIdLength) {
    refuse('dpop.id_refused', `jti: expected 1 to ${maxIdLength} characters`);
  }
  if (htm !== shown.method) {
    refuse('dpop.method_mismatch', `htm: expected ${shown.method}, actual ${echo(htm)}`);
  }
  const expected = normalProofUrl(shown.url);
  const actual = typeof htu === 'string' ? normalProofUrl(htu) : undefined;
  if (expected === undefined || actual !== expected) {
    refuse('dpop.url_mismatch', `htu: expected ${expected}, actual ${echo(htu)}`);
  }
  // Asked this way round so that a time that is not a number refuses too.
  if (typeof iat !== 'number' || !(Math.abs(nowSeconds - iat) <= windowSeconds)) {
    refuse('dpop.not_fresh', `iat: actual ${echo(iat)}, now ${Math.floor(nowSeconds)}`);
  }
  // A proof needs neither, but a JWT with one means it (RFC 7519 §4.1.4 and §4.1.5).
  const isInForce =
    (exp === undefined || (typeof exp === 'number' && exp > nowSeconds)) &&
    (nbf === undefined || (typeof nbf === 'number' && nbf <= nowSeconds + windowSeconds));
  if (!isInForce) refuse('dpop.not_fresh', `exp ${echo(exp)}, nbf ${echo(nbf)}`);
  if (shown.accessToken !== undefined && ath !== hash('sha256', shown.accessToken, 'base64url')) {
    refuse('dpop.token_mismatch', 'ath is not the hash of the access token');
  }
  return { jti, endsAt: iat + windowSeconds + 1 };
}

function requireNonce(nonce: unknown, nonces: Pick<DpopNonces, 'accepts'>, nowMillis: number): void {
  if (nonce === undefined) refuse('dpop.nonce_missing');
  if (typeof nonce !== 'string' || !nonces.accepts(nonce, nowMillis)) refuse('dpop.nonce_refused');
}

async function requireSigned({ token, algorithm }: CompactJws, key: VerificationKey): Promise<void> {
  const publicKey: CryptoKey = await key
    .cryptoKey(algorithm)
    .catch((cause) => refuse('dpop.key_refused', 'it is not a valid key', cause));
  const [header = '', payload = '', signature = ''] = token.split('.');
  await flattenedVerify({ protected: header, payload, signature }, publicKey, {
    algorithms: [algorithm],
  }).catch((cause) => refuse('dpop.signature_invalid', undefined, cause));
}

/** Neither part can be made to look like the other: the thumbprint has one length. */
function onceKey(jkt: string, jti: string): string {
  return `dpop ${hash('sha256', `${jkt} ${jti}`, 'base64url')}`;
}
