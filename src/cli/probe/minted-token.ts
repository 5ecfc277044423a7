/** A minted token as a resource server takes it: verified with the published keys alone (RFC 9068 §4). */
import { isDeepStrictEqual } from 'node:util';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import { CommandFailure } from '../exit.ts';

export interface TokenExpectations {
  readonly issuer: string;
  /** undefined: whatever the default target is. */
  readonly audience: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly nowMillis: number;
}

/** The verified claims. Throws `CommandFailure`, which names claims but never the token. */
export async function verifyMintedToken(
  token: string,
  keys: JSONWebKeySet,
  { issuer, audience, claims, nowMillis }: TokenExpectations,
): Promise<JWTPayload> {
  const payload = await verified(token, keys, {
    issuer,
    ...(audience === undefined ? {} : { audience }),
    typ: 'at+jwt',
    requiredClaims: ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti'], // RFC 9068 §2.2
    currentDate: new Date(nowMillis),
    clockTolerance: 5,
  });
  const differing = Object.keys(claims).filter((claim) => !isDeepStrictEqual(payload[claim], claims[claim]));
  if (differing.length > 0) {
    throw new CommandFailure(`the token has other claims than expected: ${differing.join(', ')}`);
  }
  return payload;
}

async function verified(token: string, keys: JSONWebKeySet, options: Parameters<typeof jwtVerify>[2]) {
  try {
    return (await jwtVerify(token, createLocalJWKSet(keys), options)).payload;
  } catch (error) {
    const code = error instanceof errors.JOSEError ? error.code : 'not a JWT';
    throw new CommandFailure(`a resource server would refuse the token (${code})`);
  }
}
