/** A protected service: all that it knows of Mintmark is its URL, and it validates tokens alone (RFC 8414, RFC 9068 §4, RFC 6750). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRemoteJWKSet, errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { type LoopbackServer, listenOnLoopback, sendJson } from './loopback.ts';

export interface ResourceServerOptions {
  /** Its own name: the one audience whose tokens it accepts. */
  readonly audience: string;
  /** The scope that a token must have. */
  readonly scope: string;
  /** Mintmark's issuer identifier. */
  readonly issuer: string;
}

/** Starts the service. It answers every request with whom it saw, or with a refusal and its challenge. */
export async function startResourceServer(options: ResourceServerOptions): Promise<LoopbackServer> {
  let keys: Promise<JWTVerifyGetKey> | undefined;
  const discoverOnce = () => {
    keys ??= discoverKeys(options.issuer).catch((error) => {
      keys = undefined; // asked again by the next request
      throw error;
    });
    return keys;
  };

  return listenOnLoopback(async (request, response) => {
    const token = bearerToken(request);
    if (token === undefined) return challenge(response, 401);
    const outcome = await validate(token, discoverOnce, options);
    if (outcome.ok) return sendJson(response, 200, { service: options.audience, ...outcome.caller });
    return challenge(response, outcome.status, outcome.error, outcome.description);
  });
}

/** RFC 8414 §3: the metadata must name the issuer that was asked, or its keys are not that issuer's. */
async function discoverKeys(issuer: string): Promise<JWTVerifyGetKey> {
  const response = await fetch(`${issuer}/.well-known/oauth-authorization-server`);
  const metadata: unknown = await response.json();
  if (typeof metadata !== 'object' || metadata === null) throw new Error('no metadata');
  const { issuer: named, jwks_uri: jwksUri } = metadata as { issuer?: unknown; jwks_uri?: unknown };
  if (named !== issuer || typeof jwksUri !== 'string') throw new Error('not the metadata of this issuer');
  return createRemoteJWKSet(new URL(jwksUri));
}

type Outcome =
  | { readonly ok: true; readonly caller: Readonly<Record<'sub' | 'aud' | 'scope', string>> }
  | { readonly ok: false; readonly status: number; readonly error: string; readonly description: string };

async function validate(
  token: string,
  keys: () => Promise<JWTVerifyGetKey>,
  { issuer, audience, scope: needed }: ResourceServerOptions,
): Promise<Outcome> {
  try {
    const { payload } = await jwtVerify(token, await keys(), {
      issuer,
      audience,
      typ: 'at+jwt', // RFC 9068 §4: no other kind of JWT counts as an access token
      algorithms: ['ES256'],
      requiredClaims: ['exp', 'iat', 'jti', 'sub', 'client_id'],
    });
    const scope = typeof payload.scope === 'string' ? payload.scope : '';
    if (!scope.split(' ').includes(needed)) {
      const description = `the token does not have the scope ${needed}`;
      return { ok: false, status: 403, error: 'insufficient_scope', description };
    }
    return { ok: true, caller: { sub: payload.sub ?? '', aud: String(payload.aud), scope } };
  } catch (error) {
    const description = describe(error, audience);
    if (description !== undefined) return { ok: false, status: 401, error: 'invalid_token', description };
    const message = 'the keys of the token issuer could not be fetched';
    return { ok: false, status: 503, error: 'temporarily_unavailable', description: message };
  }
}

/** What is wrong with the token; undefined where it is not the token that failed. Never quotes from it. */
function describe(error: unknown, audience: string): string | undefined {
  if (error instanceof errors.JWTExpired) return 'the token has expired';
  if (error instanceof errors.JWTClaimValidationFailed) {
    return error.claim === 'aud'
      ? `the token is not for the audience ${audience}`
      : `the token has the wrong ${error.claim}`;
  }
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) return undefined;
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey) {
    return 'the token was not signed by this issuer';
  }
  if (error instanceof errors.JOSEError && error.code !== 'ERR_JOSE_GENERIC') {
    return 'the token is not a valid access token';
  }
  return undefined;
}

/** RFC 6750 §3: the challenge names an error only where a token came. */
function challenge(response: ServerResponse, status: number, error?: string, description?: string): void {
  const parameters = error === undefined ? '' : ` error="${error}", error_description="${description}"`;
  const headers = status === 503 ? { 'retry-after': '1' } : { 'www-authenticate': `Bearer${parameters}` };
  sendJson(response, status, error === undefined ? {} : { error, error_description: description }, {
    ...headers,
    'cache-control': 'no-store',
  });
}

function bearerToken({ headers }: IncomingMessage): string | undefined {
  return /^bearer +(?<token>\S+)$/i.exec(headers.authorization ?? '')?.groups?.token;
}
