/** The policy after a few of its grants changed, at a cost that the others do not add to, so that nobody waits meanwhile. */
import { adminResourceName } from './admin-resource.ts';
import { assembleSnapshot } from './assemble-snapshot.ts';
import { checkDocuments } from './check.ts';
import { compileConditions } from './conditions.ts';
import { type PolicyEdits, withChanges } from './edits.ts';
import { compileGrants } from './grants.ts';
import { refuseClaimsOpposedTo } from './opposed-claims.ts';
import { collectProblems } from './problems.ts';
import type { Grant, PolicyContext, PolicySnapshot } from './snapshot.ts';
import { documentName, storedFromSources } from './source.ts';

/**
 * What compilePolicy would make of the policy with these edits, or undefined where they reach beyond ordinary grants: an
 * issuer, a trust domain, a resource, an admin, or the claims that conditions read. Throws PolicyRefused with all problems.
 */
export function amendPolicy(
  policy: PolicySnapshot,
  edits: PolicyEdits,
  context: PolicyContext,
  revision: number,
): PolicySnapshot | undefined {
  const names = [...edits.put.map(({ value }) => documentName(value)), ...edits.remove];
  if (names.some((named) => named?.kind !== 'Grant')) return undefined;
  const touched = new Set(names.flatMap((named) => named?.name ?? []));

  const problems = collectProblems();
  const { issuers, trustDomains, resources, declares } = policy.basis.checked;
  const { grants: checked } = checkDocuments(edits.put, problems);
  const known = { issuers, trustDomains, resources, declares, grants: checked };
  const conditions = compileConditions({ ...known, issuers: [] }, context.platforms, problems);
  const { grants: inForce } = policy.basis;
  const others = inForce.notable().filter(({ name }) => !touched.has(name));
  const grants = compileGrants(known, policy.basis.resources, conditions, context, problems, others);
  refuseClaimsOpposedTo(others, checked, problems);
  problems.throwIfAny();

  const before = [...touched].flatMap((name) => inForce.named(name) ?? []);
  if ([...before, ...grants].some(({ resource }) => resource.name === adminResourceName)) return undefined;
  if (!readSameClaims(policy.basis.conditionClaimPaths, [...others, ...grants])) return undefined;

  const labels = new Set([...touched].map((name) => `Grant/${name}`));
  const warnings = policy.warnings.filter(({ document }) => !labels.has(document));
  return assembleSnapshot({
    ...policy,
    revision,
    documents: withChanges(policy.documents, { put: storedFromSources(edits.put), removed: edits.remove }),
    warnings: [...warnings, ...problems.warnings()],
    basis: { ...policy.basis, grants: inForce.amended(grants, [...touched]) },
  });
}

/** The claims that the audit keeps of an issuer's tokens follow from those that conditions read. */
function readSameClaims(before: ReadonlySet<string>, grants: readonly Grant[]): boolean {
  const after = new Set<string>();
  for (const { condition } of grants) for (const path of condition?.claimPaths ?? []) after.add(path);
  return after.size === before.size && [...after].every((path) => before.has(path));
}
