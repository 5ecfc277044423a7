/** Keys and signed tokens for tests: real key pairs, real signatures, claims as the platforms send them. */
import { CompactSign, type CryptoKey, exportJWK, generateKeyPair, type JWK } from 'jose';

/** The time at which tests stand, in milliseconds; tokens below are issued at it unless told otherwise. */
export const testNowMillis = 1_795_500_000_000;
export const testNowSeconds = testNowMillis / 1000;

export interface TestKey {
  readonly kid: string;
  readonly algorithm: string;
  readonly privateKey: CryptoKey;
  /** As SPIRE and Kubernetes publish it: without `alg`. */
  readonly publicJwk: JWK;
}

/** A new key pair. `modulusLength` matters to RSA alone. */
export async function makeKey(kid: string, algorithm = 'ES256', modulusLength = 2048): Promise<TestKey> {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true, modulusLength });
  return { kid, algorithm, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid } };
}

/** What a platform publishes at its `jwks_uri`. */
export function jwksOf(...keys: readonly TestKey[]): { keys: { kty: string; [member: string]: unknown }[] } {
  return { keys: keys.map(({ publicJwk }) => ({ kty: '', ...publicJwk, use: 'sig' })) };
}

/** What a trust domain publishes at its bundle endpoint. */
export function bundleOf(...keys: readonly TestKey[]): {
  keys: { kty: string; [member: string]: unknown }[];
} {
  return { keys: keys.map(({ publicJwk }) => ({ kty: '', ...publicJwk, use: 'jwt-svid' })) };
}

export type Claims = Record<string, unknown>;

/** Signs any claims with any header. A claim or header parameter that is undefined is left out. */
export async function signToken(key: TestKey, claims: Claims, header: Claims = {}): Promise<string> {
  return await signText(key, JSON.stringify(claims), header);
}

/** The same for a payload that need not be JSON. */
export async function signText(key: TestKey, payload: string, header: Claims = {}): Promise<string> {
  const complete = JSON.parse(JSON.stringify({ alg: key.algorithm, kid: key.kid, typ: 'JWT', ...header }));
  return await new CompactSign(new TextEncoder().encode(payload))
    .setProtectedHeader(complete)
    .sign(key.privateKey);
}

/** `iat`, `exp` and `nbf` of a token that was issued `ageSeconds` before the tests' time. */
export function times(lifetimeSeconds = 600, ageSeconds = 0): Claims {
  const iat = testNowSeconds - ageSeconds;
  return { iat, nbf: iat, exp: iat + lifetimeSeconds };
}

/** A JWT-SVID as SPIRE makes it: no `iss`, no `jti`. */
export async function makeSvid(
  key: TestKey,
  spiffeId: string,
  audience: string | string[],
  claims: Claims = {},
) {
  const iat = testNowSeconds;
  return await signToken(key, { sub: spiffeId, aud: audience, iat, exp: iat + 300, ...claims });
}

/** The claims of a projected service account token. */
export function kubernetesClaims(issuer: string, audience: string | string[], claims: Claims = {}): Claims {
  return {
    iss: issuer,
    sub: 'system:serviceaccount:payments:api',
    aud: audience,
    jti: crypto.randomUUID(),
    ...times(3600),
    'kubernetes.io': {
      namespace: 'payments',
      serviceaccount: { name: 'api', uid: '6a1b0f7e-0000-4000-8000-000000000001' },
      pod: { name: 'api-7d', uid: '6a1b0f7e-0000-4000-8000-000000000002' },
    },
    ...claims,
  };
}

/** The claims of a GitHub Actions job on a branch. */
export function githubClaims(audience: string | string[], claims: Claims = {}): Claims {
  const iat = testNowSeconds;
  return {
    iss: 'https://token.actions.githubusercontent.com',
    sub: 'repo:octo-org/octo-repo:ref:refs/heads/main',
    aud: audience,
    repository: 'octo-org/octo-repo',
    repository_id: '74',
    repository_owner: 'octo-org',
    repository_owner_id: '65',
    ref: 'refs/heads/main',
    event_name: 'push',
    jti: crypto.randomUUID(),
    iat,
    nbf: iat - 600,
    exp: iat + 300,
    ...claims,
  };
}
