/** The bounded trace of a decision: for each thing that was looked at, what was expected and what was found. */
import type { Check } from './audit.ts';
import type { IdentityFields } from './identity.ts';
import { issuerNameOf, matchesSubject } from './match.ts';
import type { Grant, PolicySnapshot, Resource, Subject } from './policy/snapshot.ts';

const maxGrantChecks = 24;
const maxTextLength = 256;

export function checkResource(audience: string, resource: Resource | undefined): Check {
  return {
    check: 'resource',
    ok: resource !== undefined,
    expected: resource?.name ?? 'the audience of a Resource',
    actual: clip(audience),
  };
}

/** One check for each grant whose subjects cover the identity: in force, or over since when. */
export function grantChecks(
  identity: IdentityFields,
  candidates: readonly Grant[],
  nowMillis: number,
): readonly Check[] {
  return bounded(candidates, (grant) => {
    const isOver = grant.notAfter !== undefined && !(grant.notAfter - nowMillis >= 1000);
    if (isOver) {
      const expected = `before ${describeTime(grant.notAfter)}`;
      return {
        check: 'grant.notAfter',
        grant: grant.name,
        ok: false,
        expected,
        actual: describeTime(nowMillis),
      };
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

/** Why nothing applied: the grants that are over, else the first few grants of the resource and whom they are for. */
export function explainNoGrant(
  identity: IdentityFields,
  resource: Resource,
  candidates: readonly Grant[],
  policy: PolicySnapshot,
  nowMillis: number,
): readonly Check[] {
  if (candidates.length > 0) return grantChecks(identity, candidates, nowMillis);
  const others = policy.grantsOn(resource, 8);
  if (others.length === 0) {
    return [{ check: 'grant', ok: false, expected: `a Grant on ${resource.name}`, actual: 'none' }];
  }
  const issuer = issuerNameOf(identity);
  const actual = issuer === undefined ? identity.spiffeId : `${identity.spiffeId} (issuer ${issuer})`;
  return bounded(others, (grant) => ({
    check: 'grant.subject',
    grant: grant.name,
    ok: false,
    expected: clip(grant.subjects.slice(0, 4).map(describeSubject).join(' or ')),
    actual: clip(actual),
  }));
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

export function checkLifetime(ok: boolean, lifetimeSeconds: number, expiresAt: number): Check {
  return {
    check: 'lifetime',
    ok,
    expected: 'at least 1s',
    actual: `${lifetimeSeconds}s, the credential ends at ${describeTime(expiresAt * 1000)}`,
  };
}

function describeSubject(subject: Subject): string {
  const [[kind, value] = ['nobody', '']] = Object.entries(subject);
  return clip(`${kind} ${value}`);
}

function bounded(grants: readonly Grant[], describe: (grant: Grant) => Check): readonly Check[] {
  const checks = grants.slice(0, maxGrantChecks).map(describe);
  const unlisted = grants.length - checks.length;
  if (unlisted === 0) return checks;
  return [...checks, { check: 'grant', ok: true, actual: `${unlisted} more grants are not listed` }];
}

/** ISO 8601; a time outside of the calendar is named as such instead of throwing. */
function describeTime(millis: number | undefined): string {
  const date = new Date(millis ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? 'no valid time' : date.toISOString();
}

function clip(text: string): string {
  return text.length <= maxTextLength ? text : `${text.slice(0, maxTextLength - 1)}…`;
}
