/** Grants of the admin API: what they may say, which scopes they give an admin, and whether anybody is left to mend the policy. */
import { parseSpiffeId, trustDomainOf } from '../spiffe-id.ts';
import { type AdminScope, adminResourceName, adminScopes } from './admin-resource.ts';
import type { GrantDocument } from './document.ts';
import type { Grant, PolicySnapshot } from './snapshot.ts';
import type { FieldPath } from './source.ts';

/** Reports whatever would make an admin of somebody whom the grant does not name, or an admin token of a request for another. */
export function checkAdminGrant(
  { subjects, claims, default: isDefault, delegation }: GrantDocument['spec'],
  report: (path: FieldPath, message: string) => void,
): void {
  for (const [index, subject] of subjects.entries()) {
    const [field] = Object.keys(subject);
    if (field === undefined || field === 'spiffeId') continue;
    report(
      ['subjects', index, field],
      `could cover identities that nobody has looked at: name each admin by spiffeId on ${adminResourceName}`,
    );
  }
  for (const field of ['set', 'copy', 'allowRequested'] as const) {
    if (Object.keys(claims[field]).length === 0) continue;
    report(['claims', field], `the admin API reads no such claim: leave it out on ${adminResourceName}`);
  }
  if (delegation !== undefined) {
    report(
      ['delegation'],
      `would let one identity act as an admin for another: leave it out on ${adminResourceName}`,
    );
  }
  if (isDefault) {
    report(
      ['default'],
      'a request that names no target would get an admin token, and might send it anywhere: leave it out',
    );
  }
}

/**
 * What the policy in force gives this identity on the admin API, conditions aside, which were asked when the token was minted;
 * nothing where no Issuer or TrustDomain vouches for it
 * any more, so that a source of identities that is taken away takes its admins along.
 */
export function grantedAdminScopes(
  policy: PolicySnapshot,
  spiffeId: string,
  ownTrustDomain: string,
  nowMillis: number,
): ReadonlySet<AdminScope> {
  if (!isVouchedFor(policy, spiffeId, ownTrustDomain)) return new Set();
  const scopes = adminGrantsOf(policy)
    .filter(({ notAfter }) => notAfter === undefined || notAfter > nowMillis)
    .filter((grant) => namesOf(grant).includes(spiffeId))
    .flatMap((grant) => [...grant.scopes]);
  return new Set(adminScopes.filter((scope) => scopes.includes(scope)));
}

/** Whether some identity can change everything here for good: a grant that ends or has a condition may be none when it is needed. */
export function isAdminLeft(policy: PolicySnapshot, ownTrustDomain: string): boolean {
  const lasting = adminGrantsOf(policy).filter(
    ({ notAfter, condition }) => notAfter === undefined && condition === undefined,
  );
  const holdersOf = (scope: AdminScope) =>
    new Set(lasting.filter(({ scopes }) => scopes.has(scope)).flatMap(namesOf));
  const writers = holdersOf('policy:write');
  return [...holdersOf('policy:admin')].some(
    (spiffeId) => writers.has(spiffeId) && isVouchedFor(policy, spiffeId, ownTrustDomain),
  );
}

function adminGrantsOf(policy: PolicySnapshot): readonly Grant[] {
  const resource = [...policy.resourcesByAudience.values()].find(({ name }) => name === adminResourceName);
  if (resource === undefined) return [];
  return policy.grantsOn(resource, Number.POSITIVE_INFINITY).filter(({ isObserved }) => !isObserved);
}

function namesOf({ subjects }: Grant): readonly string[] {
  return subjects.flatMap((subject) => ('spiffeId' in subject ? [subject.spiffeId] : []));
}

function isVouchedFor(policy: PolicySnapshot, spiffeId: string, ownTrustDomain: string): boolean {
  const id = parseSpiffeId(spiffeId);
  if (id === undefined) return false;
  const trustDomain = trustDomainOf(id);
  if (trustDomain !== ownTrustDomain) return policy.trustDomains.has(trustDomain);
  return [...policy.issuers.values()].flat().some(({ subject, isObserved }) => {
    if (isObserved) return false;
    const ownPart = subject.leadingSegments.join('/');
    return id.startsWith(`spiffe://${trustDomain}/${ownPart}/`);
  });
}
