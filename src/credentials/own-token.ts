/** Verifies the access tokens that we minted ourselves (RFC 9068 §4), with the keys that we publish. */
import { type CryptoKey, flattenedVerify, importJWK } from 'jose';
import { OAuthError, refuse } from '../core/error.ts';
import { isJsonObject, type Json } from '../core/json.ts';
import type { Confirmation } from '../core/own-token.ts';
import type { KeyRing, PublicJwk, VerifyOwnToken } from '../core/ports.ts';
import { parseSpiffeId } from '../core/spiffe-id.ts';
import { echo } from './echo.ts';
import { type CompactJws, readCompactJws } from './jwt.ts';

export interface OwnTokenRules {
  readonly issuer: string;
  readonly keyRing: Pick<KeyRing, 'publicKeys'>;
}

/**
 * It asks nobody: the keys are our own, and one that left the ring verifies nothing any more. Whom the token is for, and
 * what it is bound to, is the caller's to check.
 */
export function createVerifyOwnToken({ issuer, keyRing }: OwnTokenRules): VerifyOwnToken {
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
    return {
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
  const [header = '', payload = '', signature = ''] = token.split('.');
  const key = await importOnce(jwk);
  await flattenedVerify({ protected: header, payload, signature }, key, { algorithms: [jwk.alg] }).catch(
    (cause) => refuse('token.signature_invalid', `kid ${echo(kid)}`, cause),
  );
}

const imported = new WeakMap<PublicJwk, Promise<CryptoKey | Uint8Array>>();

/** The ring keeps its keys as they are until they leave it; what has left is forgotten with them. */
function importOnce(jwk: PublicJwk): Promise<CryptoKey | Uint8Array> {
  const known = imported.get(jwk) ?? importJWK(jwk);
  imported.set(jwk, known);
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
