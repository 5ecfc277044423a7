/** How a refusal looks to a proxy, which can pass on 401 and 403 and nothing else, and to the client behind it (RFC 6750 §3). */
import { signingAlgorithms } from '../../core/algorithm.ts';
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

export interface AskedPass {
  /** Undefined where the path names none, and nobody can be told what to do. */
  readonly resource: Resource | undefined;
  readonly scopes: readonly string[];
  /** Whether the token was sent by the scheme `DPoP`. */
  readonly isDpop: boolean;
}

export function refusedPass({ reason, code }: OAuthError, asked: AskedPass): RefusedPass {
  // What would help is the scheme that the token is bound to, whichever it came by (RFC 9449 §7.1).
  const wantsDpop =
    code === 'invalid_dpop_proof' ||
    asked.resource?.proof === 'dpop' ||
    asked.isDpop !== (reason === 'token.binding_scheme');
  const challengeWith = (error?: string) => challengeOf(wantsDpop ? 'DPoP' : 'Bearer', asked, error);
  if (reason === 'token.scope_missing') {
    const error = 'insufficient_scope';
    return { status: 403, error, challenge: challengeWith(error) };
  }
  if (forbidden.has(code)) return { status: 403, error: code, challenge: undefined };
  // RFC 6750 §3.1: no error code where no token came, as where it was a certificate that was refused.
  const isWithoutToken = reason === 'request.credential_missing' || code === 'invalid_client';
  return { status: 401, error: code, challenge: challengeWith(isWithoutToken ? undefined : code) };
}

function challengeOf(scheme: 'Bearer' | 'DPoP', { resource, scopes }: AskedPass, error?: string): string {
  const parameters = Object.entries({
    resource_metadata: resource && resourceMetadataUrl(resource.audience), // RFC 9728 §5.1
    scope: scopes.length === 0 ? undefined : scopes.join(' '),
    error,
    algs: scheme === 'DPoP' ? signingAlgorithms.join(' ') : undefined, // RFC 9449 §7.1
  }).flatMap(([name, value]) => (value === undefined ? [] : [`${name}="${value}"`]));
  return [scheme, parameters.join(', ')].filter(Boolean).join(' ');
}
