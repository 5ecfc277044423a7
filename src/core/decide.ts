/** May this identity have that token? Pure and total: the same answer for the exchange, `explain` and policy tests. */
import { addedClaims } from './added-claims.ts';
import type { Check } from './audit.ts';
import {
  checkIssuerMode,
  checkLifetime,
  checkProof,
  checkResource,
  checkScopes,
  explainNoGrant,
  explainScopes,
  grantChecks,
} from './decision-trace.ts';
import {
  type Act,
  actingFor,
  checkInheritedScopes,
  type Delegation,
  earliestEnd,
  partiesOf,
  subjectClaims,
} from './delegation.ts';
import type { Reason } from './error.ts';
import { findFormat, formatOf } from './format-finding.ts';
import { applying, findingsOf } from './grant-findings.ts';
import type { IdentityFields } from './identity.ts';
import type { JsonObject } from './json.ts';
import { issuerNameOf } from './match.ts';
import type { Grant, PolicySnapshot, Resource } from './policy/snapshot.ts';
import { bindingFor, type ProofShown } from './request-proof.ts';
import type { SpiffeId } from './spiffe-id.ts';
import type { RequestedFormat, TokenFormat } from './token-format.ts';

/** What of a request the policy decides on. */
export interface AskedFor {
  readonly audience?: string | undefined;
  readonly scopes?: readonly string[] | undefined;
  readonly additionalClaims?: JsonObject | undefined;
  /** Where the identity does not simply ask for itself. */
  readonly delegation?: Delegation | undefined;
  /** undefined asks for an access token. */
  readonly requestedFormat?: RequestedFormat | undefined;
  readonly proof?: ProofShown | undefined;
}

export type Decision =
  | {
      readonly permit: true;
      /** Whom the token is about. */
      readonly subject: SpiffeId;
      readonly act?: Act;
      readonly resource: Resource;
      readonly format: TokenFormat;
      readonly scopes: readonly string[];
      readonly lifetimeSeconds: number;
      /** The grants that contribute, by name. */
      readonly grants: readonly Grant[];
      /** What the grants add to the token. */
      readonly claims: JsonObject;
      readonly checks: readonly Check[];
    }
  | {
      readonly permit: false;
      readonly reason: Reason;
      readonly resource?: Resource;
      readonly checks: readonly Check[];
    };

/** Never throws and reads no clock: `nowMillis` is the time of the decision. */
export function decide(
  identity: IdentityFields,
  request: AskedFor,
  policy: PolicySnapshot,
  nowMillis: number,
): Decision {
  const decision = decideAsInForce(identity, request, policy, nowMillis);
  const issuer = partiesOf(identity, request.delegation)
    .map(issuerNameOf)
    .find((name) => name !== undefined && policy.observedIssuers.has(name));
  if (issuer === undefined) return decision;
  const { resource, checks } = decision;
  const check = checkIssuerMode(issuer, decision.permit ? undefined : decision.reason);
  return {
    permit: false,
    reason: 'policy.issuer_observed',
    ...(resource === undefined ? {} : { resource }),
    checks: [...checks, check],
  };
}

/** The decision wherever the identity's Issuer is not only observed. */
function decideAsInForce(
  identity: IdentityFields,
  request: AskedFor,
  policy: PolicySnapshot,
  nowMillis: number,
): Decision {
  const { resource, check, reason, trace: defaultTrace } = findResource(identity, request, policy, nowMillis);
  if (resource === undefined) return { permit: false, reason, checks: [check, ...defaultTrace] };
  const refused = (why: Reason, checks: readonly Check[]): Decision => ({
    permit: false,
    reason: why,
    resource,
    checks: [check, ...checks],
  });

  const candidates = policy.grantsFor(identity, resource);
  const { delegation } = request;
  const findings = findingsOf(candidates, identity, request.scopes, nowMillis, delegation);
  const matching = applying(findings);
  if (matching.length === 0) {
    const isUndelegated = findings.some(({ state }) => state === 'undelegated');
    return refused(
      isUndelegated ? 'policy.delegation_not_permitted' : 'policy.no_grant',
      explainNoGrant(identity, request, resource, findings, policy, nowMillis),
    );
  }

  const format = formatOf(request, resource);
  const formatFinding = findFormat(identity, request, resource, policy);
  const trace = [...grantChecks(identity, request, findings, nowMillis), ...formatFinding.checks];
  if (formatFinding.reason !== undefined) return refused(formatFinding.reason, trace);
  const permitted = new Set(matching.flatMap((grant) => [...grant.scopes]));
  const inherited = delegation?.inherited;
  const defaults =
    format === 'jwt-svid'
      ? []
      : matching
          .flatMap((grant) => grant.defaultScopes)
          .filter((scope) => inherited?.scopes.includes(scope) ?? true);
  const scopes = [...new Set(request.scopes ?? defaults)];
  const scopeCheck = checkScopes(scopes, permitted);
  if (!scopeCheck.ok) {
    const why = explainScopes(identity, resource, matching, scopes, policy);
    return refused('policy.scope_not_permitted', [...trace, ...why, scopeCheck]);
  }

  const inheritedCheck = inherited && checkInheritedScopes(scopes, inherited);
  if (inheritedCheck?.ok === false) {
    return refused('policy.scope_beyond_subject', [...trace, scopeCheck, inheritedCheck]);
  }

  // Asked after the grants, so that what a resource demands is told to nobody whom it is not for.
  const proofCheck = checkProof(resource, request.proof, nowMillis);
  if (proofCheck?.ok === false) {
    const why = resource.proof === 'dpop' ? 'policy.dpop_required' : 'policy.certificate_required';
    return refused(why, [...trace, scopeCheck, proofCheck]);
  }

  const grants =
    scopes.length === 0
      ? matching
      : matching.filter((grant) => scopes.some((scope) => grant.scopes.has(scope)));
  const acting = actingFor(identity, delegation, grants);
  if (!acting.ok) return refused(acting.reason, [...trace, scopeCheck, acting.check]);
  const isCertificateBound = bindingFor(request.proof, identity, resource) === 'mtls';
  const endsAt = Math.min(
    earliestEnd(identity, delegation),
    (isCertificateBound ? request.proof?.endsAt : undefined) ?? Infinity,
  );
  const credentialSeconds = Math.floor(endsAt - nowMillis / 1000);
  const lifetimeSeconds = grants.reduce(
    (least, grant) => Math.min(least, secondsOf(grant, nowMillis)),
    Math.min(resource.tokenLifetimeSeconds, credentialSeconds),
  );
  // Asked this way round so that a time that is not a number refuses too.
  const isLongEnough = lifetimeSeconds >= 1;
  const actingChecks = [inheritedCheck, proofCheck, acting.check].filter((check) => check !== undefined);
  const checks = [
    ...trace,
    scopeCheck,
    ...actingChecks,
    checkLifetime(isLongEnough, lifetimeSeconds, endsAt),
  ];
  // Resources and grants in force always leave a second, so it is the credential that is over.
  if (!isLongEnough) return refused('credential.expired', checks);
  const added = addedClaims(grants, subjectClaims(identity, delegation), request.additionalClaims);
  if (!added.ok) return refused(added.reason, [...checks, added.check]);
  const { claims } = added;
  const allChecks = [check, ...checks, ...(added.check === undefined ? [] : [added.check])];
  return {
    permit: true,
    subject: delegation?.subject.spiffeId ?? identity.spiffeId,
    ...(acting.act === undefined ? {} : { act: acting.act }),
    resource,
    format,
    scopes,
    lifetimeSeconds,
    grants,
    claims,
    checks: allChecks,
  };
}

/** The most that a grant gives: its own limit and the time until it ends. */
function secondsOf(grant: Grant, nowMillis: number): number {
  const untilEnd = grant.notAfter === undefined ? Infinity : Math.floor((grant.notAfter - nowMillis) / 1000);
  return Math.min(grant.maxTokenLifetimeSeconds ?? Infinity, untilEnd);
}

interface ResourceFinding {
  readonly resource: Resource | undefined;
  readonly check: Check;
  readonly reason: Reason;
  /** Of the default grants, where they name no one resource. */
  readonly trace: readonly Check[];
}

/** The resource that is named; with none named, the one that all default grants of the identity agree on. */
function findResource(
  identity: IdentityFields,
  request: AskedFor,
  policy: PolicySnapshot,
  nowMillis: number,
): ResourceFinding {
  const { audience, scopes } = request;
  if (audience !== undefined) {
    const resource = policy.resourcesByAudience.get(audience);
    return {
      resource,
      check: checkResource(audience, resource),
      reason: 'policy.unknown_resource',
      trace: [],
    };
  }
  const findings = findingsOf(
    policy.defaultGrantsFor(identity),
    identity,
    scopes,
    nowMillis,
    request.delegation,
  );
  const targets = new Set(applying(findings).map((grant) => grant.resource));
  const [only] = targets;
  const resource = targets.size === 1 ? only : undefined;
  const names = [...targets].map(({ name }) => name).join(', ');
  const check: Check = {
    check: 'target.default',
    ok: resource !== undefined,
    expected: 'default grants for exactly one resource',
    actual: names === '' ? 'none' : names.slice(0, 256),
  };
  const trace = resource === undefined ? grantChecks(identity, request, findings, nowMillis) : [];
  return { resource, check, reason: 'policy.no_default_target', trace };
}
