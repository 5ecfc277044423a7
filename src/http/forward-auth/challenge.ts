/** How a refusal looks to a proxy, which can pass on 401 and 403 and nothing else, and to the client behind it (RFC 6750 §3). */
import type { OAuthCode, OAuthError } from '../../core/error.ts';
import { resourceMetadataUrl } from '../../core/policy/guarded-resource.ts';
import type { Resource } from '../../core/policy/snapshot.ts';

/**
 * No new token would help against these. That goes for our own failures too: nginx makes a 500 of every other status,
 * and a 401 would have each client fetch token after token while we cannot look at them.
 */
const forbidden = new Set<OAuthCode>([
  'invalid_target',
  'invalid_scope',
  'unauthorized_client',
  'server_error',
  'temporarily_unavailable',
]);

export interface RefusedPass {
  readonly status: 401 | 403;
  /** What the body says. */
  readonly error: string;
  readonly challenge: string | undefined;
}

/** `resource` is undefined where the path names none, and nobody can be told what to do. */
export function refusedPass(
  { reason, code }: OAuthError,
  resource: Resource | undefined,
  scopes: readonly string[],
): RefusedPass {
  const challengeWith = (error?: string) => challengeOf(resource, scopes, error);
  if (reason === 'token.scope_missing') {
    const error = 'insufficient_scope';
    return { status: 403, error, challenge: challengeWith(error) };
  }
  if (forbidden.has(code)) return { status: 403, error: code, challenge: undefined };
  // RFC 6750 §3.1: no error code where no token came, as where it was a certificate that was refused.
  const isWithoutToken = reason === 'request.credential_missing' || code === 'invalid_client';
  return { status: 401, error: code, challenge: challengeWith(isWithoutToken ? undefined : code) };
}

function challengeOf(resource: Resource | undefined, scopes: readonly string[], error?: string): string {
  const metadataUrl = resource && resourceMetadataUrl(resource.audience);
  const parameters = Object.entries({
    resource_metadata: metadataUrl, // RFC 9728 §5.1
    scope: scopes.length === 0 ? undefined : scopes.join(' '),
    error,
  }).flatMap(([name, value]) => (value === undefined ? [] : [`${name}="${value}"`]));
  return ['Bearer', parameters.join(', ')].filter(Boolean).join(' ');
}
