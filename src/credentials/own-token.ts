/** Verifies the access tokens that we minted ourselves (RFC 9068 §4), with the keys that we publish. */
import { hash } from 'node:crypto';
import { type CryptoKey, flattenedVerify, importJWK } from 'jose';
import { OAuthError, refuse } from '../core/error.ts';
import { isJsonObject, type Json } from '../core/json.ts';
import type { Confirmation, OwnToken } from '../core/own-token.ts';
import type { KeyRing, PublicJwk, Revocations, VerifyOwnToken } from '../core/ports.ts';
import { parseSpiffeId } from '../core/spiffe-id.ts';
import { echo } from './echo.ts';
import { type CompactJws, readCompactJws } from './jwt.ts';

export interface OwnTokenRules {
  readonly issuer: string;
  readonly keyRing: Pick<KeyRing, 'publicKeys'>;
  readonly revocations: Pick<Revocations, 'covers'>;
}

/**
 * It asks nobody: keys and revocations are in memory, and a key that left the ring verifies nothing any more. Whom the token is for, and
 * what it is bound to, is the caller's to check.
 */
export function createVerifyOwnToken({ issuer, keyRing, revocations }: OwnTokenRules): VerifyOwnToken {
  return async (token, nowMillis) => {
    const jws = readToken(token);
    // RFC 9068 §2.1: what keeps other JWTs that these keys may sign, such as ID tokens, from being access tokens.
    if (jws.type !== 'at+jwt') refuse('token.type_mismatch', `typ: actual ${echo(jws.type)}`);
    await requireSigned(jws, keyRing.publicKeys());
    const { iss, aud, exp, iat, sub, jti, scope, client_id: client, cnf } = jws.claims;
    if (iss !== issuer) refuse('token.issuer_mismatch', `iss: expected ${issuer}, actual ${echo(iss)}`);
    // Asked this way round so that a time that is not a number refuses too.
    const isInForce = typeof exp === 'number' && exp * 1000 > nowMillis && typeof iat === 'number';
    if (!isInForce) return refuse('token.expired', `exp ${echo(exp)}`);
    const subject = typeof sub === 'string' ? parseSpiffeId(sub) : undefined;
    if (subject === undefined) return refuse('token.malformed', 'sub is not a SPIFFE ID');
    const verified: OwnToken = {
      subject,
      clientId: typeof client === 'string' ? client : subject,
      audiences: (Array.isArray(aud) ? aud : [aud]).filter((value) => typeof value === 'string'),
      scopes: typeof scope === 'string' ? scope.split(' ') : [],
      jti: typeof jti === 'string' ? jti : refuse('token.malformed', 'jti is missing'),
      kid: jws.kid ?? '',
      issuedAt: iat,
      expiresAt: exp,
      confirmation: readConfirmation(cnf),
      claims: jws.claims,
    };
    const revokedBy = revocations.covers(verified);
    if (revokedBy !== undefined) refuse('token.revoked', `revoked by ${revokedBy}`);
    return verified;
  };
}

function readToken(token: string): CompactJws {
  try {
    return readCompactJws(token);
  } catch (cause) {
    if (!(cause instanceof OAuthError)) throw cause;
    return refuse('token.malformed', cause.detail, cause);
  }
}

async function requireSigned(jws: CompactJws, keys: readonly PublicJwk[]): Promise<void> {
  const { kid, algorithm, token } = jws;
  const jwk = keys.find((key) => key.kid === kid);
  // The key says which algorithm, never the token (RFC 8725 §3.1).
  if (jwk === undefined || jwk.alg !== algorithm) {
    refuse('token.key_unknown', `kid ${echo(kid)}, alg ${echo(algorithm)}`);
  }
  const { key, verified } = knownKey(jwk);
  const digest = hash('sha256', token, 'base64url');
  if (verified.has(digest)) return;
  const [header = '', payload = '', signature = ''] = token.split('.');
  await flattenedVerify({ protected: header, payload, signature }, await key, {
    algorithms: [jwk.alg],
  }).catch((cause) => refuse('token.signature_invalid', `kid ${echo(kid)}`, cause));
  const [oldest] = verified;
  if (verified.size >= maxRemembered && oldest !== undefined) verified.delete(oldest);
  verified.add(digest);
}

interface KnownKey {
  readonly key: Promise<CryptoKey | Uint8Array>;
  /** Hashes of tokens whose signature held; the oldest first. */
  readonly verified: Set<string>;
}

const maxRemembered = 10_000;
const knownKeys = new WeakMap<PublicJwk, KnownKey>();

/**
 * A signature that held under a key holds for ever, and a token comes with every request of a guarded service: only what
 * may change is asked again. The ring keeps its keys as they are; what is known of one that left it is forgotten with it.
 */
function knownKey(jwk: PublicJwk): KnownKey {
  const known = knownKeys.get(jwk) ?? { key: importJWK(jwk), verified: new Set() };
  knownKeys.set(jwk, known);
  return known;
}

/** A `cnf` that holds neither of the two members is one that nobody here can check, so the token is refused. */
function readConfirmation(cnf: Json | undefined): Confirmation | undefined {
  if (cnf === undefined) return undefined;
  const { jkt, 'x5t#S256': certificate } = isJsonObject(cnf) ? cnf : {};
  if (typeof jkt === 'string') return { jkt };
  if (typeof certificate === 'string') return { 'x5t#S256': certificate };
  return refuse('token.malformed', 'cnf holds neither jkt nor x5t#S256');
}
