/** Verifies the access tokens that we mint for our own admin API (RFC 9068 §4), with the keys that we publish ourselves. */
import { type CryptoKey, flattenedVerify, importJWK } from 'jose';
import { OAuthError, refuse } from '../core/error.ts';
import type { KeyRing, PublicJwk, VerifyAdminToken } from '../core/ports.ts';
import { parseSpiffeId } from '../core/spiffe-id.ts';
import { echo } from './echo.ts';
import { type CompactJws, readCompactJws } from './jwt.ts';

export interface AdminTokenRules {
  readonly issuer: string;
  /** The audience of the admin API. */
  readonly audience: string;
  readonly keyRing: Pick<KeyRing, 'publicKeys'>;
}

/** It asks nobody: the keys are our own, and one that left the ring verifies nothing any more. */
export function createVerifyAdminToken({ issuer, audience, keyRing }: AdminTokenRules): VerifyAdminToken {
  return async (token, nowMillis) => {
    const jws = readToken(token);
    // RFC 9068 §2.1: what keeps other JWTs that these keys may sign, such as ID tokens, from being access tokens.
    if (jws.type !== 'at+jwt') refuse('admin.token_type_mismatch', `typ: actual ${echo(jws.type)}`);
    await requireSigned(jws, keyRing.publicKeys());
    const { iss, aud, exp, iat, sub, scope } = jws.claims;
    if (iss !== issuer) refuse('admin.token_issuer_mismatch', `iss: expected ${issuer}, actual ${echo(iss)}`);
    // A token that is also for somebody else could be sent here by them.
    if (aud !== audience) {
      refuse('admin.token_audience_mismatch', `aud: expected ${audience} alone, actual ${echo(aud)}`);
    }
    // Asked this way round so that a time that is not a number refuses too.
    const isInForce = typeof exp === 'number' && exp * 1000 > nowMillis && typeof iat === 'number';
    if (!isInForce) refuse('admin.token_expired', `exp ${echo(exp)}`);
    const subject = typeof sub === 'string' ? parseSpiffeId(sub) : undefined;
    if (subject === undefined) refuse('admin.token_malformed', 'sub is not a SPIFFE ID');
    return { subject, scopes: typeof scope === 'string' ? scope.split(' ') : [] };
  };
}

function readToken(token: string): CompactJws {
  try {
    return readCompactJws(token);
  } catch (cause) {
    if (!(cause instanceof OAuthError)) throw cause;
    return refuse('admin.token_malformed', cause.detail, cause);
  }
}

async function requireSigned(jws: CompactJws, keys: readonly PublicJwk[]): Promise<void> {
  const { kid, algorithm, token } = jws;
  const jwk = keys.find((key) => key.kid === kid);
  // The key says which algorithm, never the token (RFC 8725 §3.1).
  if (jwk === undefined || jwk.alg !== algorithm) {
    refuse('admin.token_key_unknown', `kid ${echo(kid)}, alg ${echo(algorithm)}`);
  }
  const [header = '', payload = '', signature = ''] = token.split('.');
  const key: CryptoKey | Uint8Array = await importJWK(jwk);
  await flattenedVerify({ protected: header, payload, signature }, key, { algorithms: [jwk.alg] }).catch(
    (cause) => refuse('admin.token_signature_invalid', `kid ${echo(kid)}`, cause),
  );
}
