/** Of the grants whose subjects cover an identity, which give something now, and why the others do not. */
import type { Delegation } from './delegation.ts';
import type { IdentityFields } from './identity.ts';
import { issuerNameOf, matchesSubject } from './match.ts';
import { type ConditionVariables, conditionBudget } from './policy/condition.ts';
import type { Grant } from './policy/snapshot.ts';
import { trustDomainOf } from './spiffe-id.ts';

export type GrantFinding = {
  readonly grant: Grant;
} & (
  | { readonly state: 'applies' | 'observed' | 'over' | 'undelegated' }
  /** `why` is undefined where the condition is simply false. */
  | { readonly state: 'unmet'; readonly why: string | undefined }
);

/** Pure and total: the time is an argument, and the conditions of one call share one budget. */
export function findingsOf(
  grants: readonly Grant[],
  identity: IdentityFields,
  scopes: readonly string[] | undefined,
  nowMillis: number,
  delegation?: Delegation,
): readonly GrantFinding[] {
  const budget = conditionBudget();
  return grants.map((grant) => {
    if (!isInForce(grant, nowMillis)) return { grant, state: 'over' };
    if (!mayActFor(grant, identity, delegation)) return { grant, state: 'undelegated' };
    const verdict = grant.condition?.evaluate(variablesOf(grant, identity, scopes), budget);
    if (verdict?.holds === false) return { grant, state: 'unmet', why: verdict.why };
    return { grant, state: grant.isObserved ? 'observed' : 'applies' };
  });
}

export function applying(findings: readonly GrantFinding[]): readonly Grant[] {
  return findings.filter(({ state }) => state === 'applies').map(({ grant }) => grant);
}

/** A grant with less than a second left could only give a token that is over at once, so it is over already. */
function isInForce(grant: Grant, nowMillis: number): boolean {
  return grant.notAfter === undefined || grant.notAfter - nowMillis >= 1000;
}

/** Whether the grant's client may exchange subject tokens of this identity; its own always. */
function mayActFor(grant: Grant, client: IdentityFields, delegation: Delegation | undefined): boolean {
  if (delegation === undefined || delegation.subject.spiffeId === client.spiffeId) return true;
  return grant.delegation?.actFor.some((subject) => matchesSubject(subject, delegation.subject)) === true;
}

/** The request as the grant meets it: for its own resource, whether the caller named that or not. */
function variablesOf(
  { resource }: Grant,
  identity: IdentityFields,
  scopes: readonly string[] | undefined,
): ConditionVariables {
  const issuer = issuerNameOf(identity);
  return {
    claims: identity.claims,
    identity: {
      spiffe_id: identity.spiffeId,
      trust_domain: trustDomainOf(identity.spiffeId),
      ...(issuer === undefined ? {} : { issuer }),
    },
    request: { audience: resource.audience, scopes: scopes ?? [] },
  };
}
