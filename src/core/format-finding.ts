/** Why a caller whom grants cover gets no token of the format that it asks for. */
import type { Check } from './audit.ts';
import { clip } from './clip.ts';
import type { AskedFor } from './decide.ts';
import type { Reason } from './error.ts';
import type { IdentityFields } from './identity.ts';
import type { PolicySnapshot, Resource } from './policy/snapshot.ts';
import { trustDomainOf } from './spiffe-id.ts';
import type { TokenFormat } from './token-format.ts';

export interface FormatFinding {
  /** undefined: nothing stands against it. */
  readonly reason: Reason | undefined;
  readonly checks: readonly Check[];
}

/** A plain `jwt` (RFC 8693 §3) is one of two: whether the audience is an authorization server, its resource says. */
export function formatOf({ requestedFormat = 'access_token' }: AskedFor, resource: Resource): TokenFormat {
  if (requestedFormat !== 'jwt') return requestedFormat;
  return resource.tokenFormats.has('jwt-grant') ? 'jwt-grant' : 'jwt-svid';
}

/** Nothing is looked at where an access token is asked for of a resource that takes them. */
export function findFormat(
  { spiffeId }: IdentityFields,
  request: AskedFor,
  resource: Resource,
  policy: PolicySnapshot,
): FormatFinding {
  const { scopes = [], delegation, proof } = request;
  const requestedFormat = formatOf(request, resource);
  const isPermitted = resource.tokenFormats.has(requestedFormat);
  if (isPermitted && requestedFormat === 'access_token') return { reason: undefined, checks: [] };
  const format: Check = {
    check: 'token.format',
    ok: isPermitted,
    expected: [...resource.tokenFormats].join(' or '),
    actual: requestedFormat,
  };
  if (!isPermitted) return { reason: 'policy.token_format_not_permitted', checks: [format] };

  // A certificate is shown on every call, but a proof on purpose: its holder would believe the token bound, and it is not.
  if (proof?.kind === 'dpop') {
    const expected = 'none, for such a token is bound to nothing';
    const shown: Check = { check: 'token.proof', ok: false, expected, actual: proof.kind };
    return { reason: 'request.format_not_bound', checks: [format, shown] };
  }
  if (requestedFormat === 'jwt-grant') return { reason: undefined, checks: [format] };

  // It is as good as the workload itself, and says neither who acts nor what the subject token was limited to.
  if (delegation !== undefined) {
    const actual = clip(`for ${delegation.subject.spiffeId}, by a client with its subject token`);
    const party: Check = { check: 'token.subject', ok: false, expected: spiffeId, actual };
    return { reason: 'policy.svid_for_another', checks: [format, party] };
  }

  // SPIFFE-ID §2.1: who signs for a trust domain is its own to say, and no other one's authority may.
  const trustDomain = trustDomainOf(spiffeId);
  const isOurs = trustDomain === policy.trustDomain;
  const domain: Check = {
    check: 'token.trustDomain',
    ok: isOurs,
    expected: policy.trustDomain,
    actual: trustDomain,
  };
  if (!isOurs) return { reason: 'policy.foreign_trust_domain', checks: [format, domain] };

  const isWithoutScope = scopes.length === 0;
  const scope: Check = {
    check: 'token.scope',
    ok: isWithoutScope,
    expected: 'none, for a JWT-SVID carries none',
    actual: `${scopes.length} scopes`,
  };
  return isWithoutScope
    ? { reason: undefined, checks: [format, domain] }
    : { reason: 'request.svid_with_scope', checks: [format, domain, scope] };
}
