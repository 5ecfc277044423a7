/** The bounded trace of a decision: for each thing that was looked at, what was expected and what was found. */
import type { Check } from './audit.ts';
import { clip } from './clip.ts';
import type { AskedFor } from './decide.ts';
import type { Reason } from './error.ts';
import type { GrantFinding } from './grant-findings.ts';
import type { IdentityFields } from './identity.ts';
import type { JsonObject } from './json.ts';
import { issuerNameOf, matchesSubject } from './match.ts';
import type { Grant, PolicySnapshot, Resource, Subject } from './policy/snapshot.ts';
import type { ProofShown } from './request-proof.ts';

const maxGrantChecks = 24;
const maxScopeChecks = 8;
const maxNearestGrants = 8;
/** How many grants of a resource a refusal looks at for the nearest ones: it must not cost more where there are more. */
const maxLookedAt = 64;

export function checkResource(audience: string, resource: Resource | undefined): Check {
  return {
    check: 'resource',
    ok: resource !== undefined,
    expected: resource?.name ?? 'the audience of a Resource',
    actual: clip(audience),
  };
}

/** One check for each grant whose subjects cover the identity: that it applies, or why it gives nothing. */
export function grantChecks(
  identity: IdentityFields,
  request: AskedFor,
  findings: readonly GrantFinding[],
  nowMillis: number,
): readonly Check[] {
  return bounded(findings, (finding) => {
    const { grant } = finding;
    if (finding.state === 'over') {
      const expected = `before ${describeTime(grant.notAfter)}`;
      return {
        check: 'grant.notAfter',
        grant: grant.name,
        ok: false,
        expected,
        actual: describeTime(nowMillis),
      };
    }
    if (finding.state === 'unmet') {
      const actual = describeClaims(grant.condition?.claimPaths ?? [], identity.auditClaims, finding.why);
      const expected = clip(grant.condition?.source ?? '');
      return { check: 'grant.condition', grant: grant.name, ok: false, expected, actual };
    }
    if (finding.state === 'undelegated') {
      const actFor = grant.delegation?.actFor.slice(0, maxSubjectsNamed).map(describeSubject) ?? [];
      return {
        check: 'grant.delegation',
        grant: grant.name,
        ok: false,
        expected: clip(actFor.length === 0 ? 'the client itself' : `to act for ${actFor.join(' or ')}`),
        actual: clip(request.delegation?.subject.spiffeId ?? ''),
      };
    }
    if (finding.state === 'observed') {
      const actual = clip(describeGift(grant, request));
      return { check: 'grant.observed', grant: grant.name, ok: true, expected: 'mode: enforce', actual };
    }
    const subject = grant.subjects.find((candidate) => matchesSubject(candidate, identity));
    return {
      check: 'grant.subject',
      grant: grant.name,
      ok: true,
      ...(subject === undefined ? {} : { expected: describeSubject(subject) }),
      actual: identity.spiffeId,
    };
  });
}

/** Why nothing applied: the grants that are over, else the grants of the resource that come nearest and whom they are for. */
export function explainNoGrant(
  identity: IdentityFields,
  request: AskedFor,
  resource: Resource,
  findings: readonly GrantFinding[],
  policy: PolicySnapshot,
  nowMillis: number,
): readonly Check[] {
  if (findings.length > 0) return grantChecks(identity, request, findings, nowMillis);
  const others = policy.grantsOn(resource, maxLookedAt);
  if (others.length === 0) {
    return [{ check: 'grant', ok: false, expected: `a Grant on ${resource.name}`, actual: 'none' }];
  }
  return nearestGrants(identity, others, maxNearestGrants);
}

/** Why a scope is not permitted: what each grant in force gives, then grants that give it to others, nearest first. */
export function explainScopes(
  identity: IdentityFields,
  resource: Resource,
  inForce: readonly Grant[],
  asked: readonly string[],
  policy: PolicySnapshot,
): readonly Check[] {
  const missing = asked.filter((scope) => !inForce.some((grant) => grant.scopes.has(scope)));
  const others = policy
    .grantsOn(resource, maxLookedAt)
    .filter((grant) => missing.some((scope) => grant.scopes.has(scope)))
    .filter((grant) => !grant.subjects.some((subject) => matchesSubject(subject, identity)));
  return [
    ...bounded(inForce, (grant) => checkGrantScopes(grant, asked), maxScopeChecks),
    ...nearestGrants(identity, others, maxNearestGrants),
  ];
}

/** What a grant that covers the caller does not give of what was asked for. */
export function checkGrantScopes(grant: Grant, asked: readonly string[]): Check {
  const missing = asked.filter((scope) => !grant.scopes.has(scope));
  return {
    check: 'grant.scopes',
    grant: grant.name,
    ok: missing.length === 0,
    expected: clip(`among: ${[...grant.scopes].sort().join(' ')}`),
    actual: clip(`asked for: ${missing.join(' ')}`),
  };
}

/** Grants that do not cover the identity, those first whose subjects are spelt most like it, and whom they are for. */
export function nearestGrants(
  identity: IdentityFields,
  grants: readonly Grant[],
  limit: number,
): readonly Check[] {
  const issuer = issuerNameOf(identity);
  const actual = issuer === undefined ? identity.spiffeId : `${identity.spiffeId} (issuer ${issuer})`;
  return grants
    .map((grant) => ({ grant, nearness: nearnessOf(grant, identity) }))
    .sort((a, b) => b.nearness - a.nearness)
    .slice(0, limit)
    .map(({ grant }) => ({
      check: 'grant.subject',
      grant: grant.name,
      ok: false,
      expected: clip(nearestSubjects(grant, identity).map(describeSubject).join(' or ')),
      actual: clip(actual),
    }));
}

const maxSubjectsLookedAt = 16;
const maxSubjectsNamed = 4;

function nearestSubjects({ subjects }: Grant, identity: IdentityFields): readonly Subject[] {
  return subjects
    .slice(0, maxSubjectsLookedAt)
    .sort((a, b) => likeness(b, identity) - likeness(a, identity))
    .slice(0, maxSubjectsNamed);
}

function nearnessOf({ subjects }: Grant, identity: IdentityFields): number {
  let most = 0;
  for (const subject of subjects.slice(0, maxSubjectsLookedAt)) {
    most = Math.max(most, likeness(subject, identity));
  }
  return most;
}

/** How many characters the subject and the identity begin with alike. */
function likeness(subject: Subject, { spiffeId }: IdentityFields): number {
  const text = spellingOf(subject);
  const longest = Math.min(text.length, spiffeId.length);
  let length = 0;
  while (length < longest && text.charCodeAt(length) === spiffeId.charCodeAt(length)) length += 1;
  return length;
}

function spellingOf(subject: Subject): string {
  if ('spiffeId' in subject) return subject.spiffeId;
  if ('prefix' in subject) return subject.prefix;
  if ('pattern' in subject) return `spiffe://${subject.compiled.trustDomain}/`;
  return 'trustDomain' in subject ? `spiffe://${subject.trustDomain}/` : '';
}

export function checkScopes(asked: readonly string[], permitted: ReadonlySet<string>): Check {
  const missing = asked.filter((scope) => !permitted.has(scope));
  return {
    check: 'scope',
    ok: missing.length === 0,
    expected: clip(`among: ${[...permitted].sort().join(' ')}`),
    actual: clip(missing.length === 0 ? asked.join(' ') : `not permitted: ${missing.join(' ')}`),
  };
}

/** Undefined where the resource takes any token. A certificate that is over cannot be shown again where the token goes. */
export function checkProof(
  { proof: expected }: Resource,
  shown: ProofShown | undefined,
  nowMillis: number,
): Check | undefined {
  if (expected === 'none') return undefined;
  const isOver = shown?.endsAt !== undefined && shown.endsAt * 1000 - nowMillis < 1000;
  const actual = shown?.kind ?? 'none';
  return {
    check: 'proof',
    ok: actual === expected && !isOver,
    expected,
    actual: isOver ? `${actual}, with a certificate that is over` : actual,
  };
}

export function checkLifetime(ok: boolean, lifetimeSeconds: number, expiresAt: number): Check {
  return {
    check: 'lifetime',
    ok,
    expected: 'at least 1s',
    actual: `${lifetimeSeconds}s, the credential ends at ${describeTime(expiresAt * 1000)}`,
  };
}

/** Of the claims that a condition reads, those that the audit may keep. */
function describeClaims(paths: readonly string[], auditClaims: JsonObject, why: string | undefined): string {
  const kept = paths.flatMap((path) =>
    Object.hasOwn(auditClaims, path) ? [`${path} ${JSON.stringify(auditClaims[path])}`] : [],
  );
  return clip([why ?? 'false', ...kept.map((text) => clip(text, 96))].join('; '));
}

/** What an observed grant would have added: the scopes asked for that it has, or its defaults. */
function describeGift({ scopes, defaultScopes }: Grant, request: AskedFor): string {
  const given = request.scopes?.filter((scope) => scopes.has(scope)) ?? defaultScopes;
  return `mode: observe; would give ${given.length === 0 ? 'no scopes' : given.join(' ')}`;
}

/** What came out for tokens of an Issuer that is only observed. */
export function checkIssuerMode(issuer: string, reason: Reason | undefined): Check {
  const outcome = reason === undefined ? 'would be permitted' : `would be refused: ${reason}`;
  return {
    check: 'issuer.observed',
    ok: false,
    expected: 'mode: enforce',
    actual: clip(`${issuer}: mode: observe; ${outcome}`),
  };
}

function describeSubject(subject: Subject): string {
  const [[kind, value] = ['nobody', '']] = Object.entries(subject);
  return clip(`${kind} ${value}`);
}

function bounded<T>(
  grants: readonly T[],
  describe: (grant: T) => Check,
  limit = maxGrantChecks,
): readonly Check[] {
  const checks = grants.slice(0, limit).map(describe);
  const unlisted = grants.length - checks.length;
  if (unlisted === 0) return checks;
  return [...checks, { check: 'grant', ok: true, actual: `${unlisted} more grants are not listed` }];
}

/** ISO 8601; a time outside of the calendar is named as such instead of throwing. */
function describeTime(millis: number | undefined): string {
  const date = new Date(millis ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? 'no valid time' : date.toISOString();
}
