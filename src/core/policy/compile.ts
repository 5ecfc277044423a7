/** Makes the snapshot that the exchange uses out of documents, or says everything that is wrong with them. */

import { adminResource } from './admin-resource.ts';
import { assembleSnapshot } from './assemble-snapshot.ts';
import { type CheckedPolicy, checkDocuments } from './check.ts';
import { compileConditions } from './conditions.ts';
import { checkExtraAudiences } from './extra-audiences.ts';
import { byName } from './grant-index.ts';
import { grantSet } from './grant-set.ts';
import { compileGrants } from './grants.ts';
import { compileIssuers } from './issuers.ts';
import { refuseOpposedClaims } from './opposed-claims.ts';
import { ownResources } from './own-resource.ts';
import { collectProblems } from './problems.ts';
import { warnOfPushedAdmins } from './pushed-admins.ts';
import { compileResources, ownAudiences } from './resources.ts';
import type { PolicyBasis, PolicyContext, PolicySnapshot } from './snapshot.ts';
import { type PolicySource, storedFromSources } from './source.ts';
import { compileTrustDomains } from './trust-domains.ts';

/** Checks and compiles the whole policy; the order of its documents never matters. Throws PolicyRefused with all problems. */
export function compilePolicy(
  sources: readonly PolicySource[],
  context: PolicyContext,
  revision: number,
): PolicySnapshot {
  const problems = collectProblems();
  const checked = checkDocuments(sources, problems);
  const written = compileResources(checked, context, problems);
  const resources = [...written, adminResource(context.issuer), ...ownResources(context.issuer, written)];
  const trustDomains = compileTrustDomains(checked.trustDomains, context, problems);
  const conditions = compileConditions(checked, context.platforms, problems);
  const issuers = compileIssuers(checked.issuers, context, conditions, problems);
  const grants = compileGrants(checked, resources, conditions, context, problems);
  refuseOpposedClaims(checked.grants, problems);
  checkExtraAudiences(checked.resources, ownAudiences(context), problems);
  warnOfPushedAdmins(checked.grants, issuers, context, problems);
  problems.throwIfAny();

  return assembleSnapshot({
    revision,
    trustDomain: context.trustDomain,
    documents: storedFromSources(sources),
    warnings: problems.warnings(),
    issuers: Map.groupBy(issuers.sort(byName), (issuer) => issuer.issuerUrl),
    observedIssuers: new Set(issuers.filter((issuer) => issuer.isObserved).map(({ name }) => name)),
    trustDomains: new Map(trustDomains.map((domain) => [domain.name, domain])),
    resourcesByAudience: new Map(resources.map((resource) => [resource.audience, resource])),
    resourcesByName: new Map(resources.map((resource) => [resource.name, resource])),
    basis: {
      checked: withoutGrants(checked),
      resources,
      conditionClaimPaths: new Set(conditions.grantClaimPaths),
      grants: grantSet(grants),
    },
  });
}

/** The grants as they were written are the bulk of a policy, and compiled by now. */
function withoutGrants({
  issuers,
  trustDomains,
  resources,
  declares,
}: CheckedPolicy): PolicyBasis['checked'] {
  return { issuers, trustDomains, resources, declares };
}
