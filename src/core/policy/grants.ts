/** Checks and compiles Grant documents: who may have which scopes on which resource. */

import { checkAdminGrant } from './admin-grants.ts';
import { adminResourceName } from './admin-resource.ts';
import type { Checked, CheckedPolicy } from './check.ts';
import type { Condition } from './condition.ts';
import type { Conditions } from './conditions.ts';
import type { GrantDocument } from './document.ts';
import { compileGrantClaims } from './grant-claims.ts';
import { quote, suggest } from './nearest-word.ts';
import type { Problems } from './problems.ts';
import type { Grant, PolicyContext, RequestedClaim, Resource } from './snapshot.ts';
import type { FieldPath } from './source.ts';
import { compileSubject, type Report, type SubjectEntry } from './subjects.ts';
import { maxTrustDomainProgramSize } from './workload-pattern.ts';

const maxLifetimeSeconds = 86_400;
const maxSuggestions = 200;

/** The grants that could be compiled; what is wrong with any goes to `problems`. Of those in force beside them, `others` are notable. */
export function compileGrants(
  policy: CheckedPolicy,
  resources: readonly Resource[],
  conditions: Conditions,
  context: PolicyContext,
  problems: Problems,
  others: readonly Grant[] = [],
): Grant[] {
  const resourceByName = new Map(resources.map((resource) => [resource.name, resource]));
  const patternSizes = patternSizesOf(others);
  const schemas = new Map<string, RequestedClaim>();
  return policy.grants.flatMap((entry) => {
    const condition = conditions.byDocument.get(entry.document);
    const grant = compileGrant(entry, policy, resourceByName, { condition, schemas }, context, problems);
    if (grant !== undefined) addUpPatterns(grant, entry, patternSizes, problems);
    return grant === undefined ? [] : [grant];
  });
}

function patternSizesOf(grants: readonly Grant[]): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { subjects, delegation } of grants) {
    for (const subject of [...subjects, ...(delegation?.actFor ?? [])]) {
      if (!('pattern' in subject)) continue;
      const { trustDomain, programSize } = subject.compiled;
      sizes.set(trustDomain, (sizes.get(trustDomain) ?? 0) + programSize);
    }
  }
  return sizes;
}

function addUpPatterns(
  grant: Grant,
  { source }: Checked<GrantDocument>,
  sizes: Map<string, number>,
  problems: Problems,
): void {
  for (const subject of [...grant.subjects, ...(grant.delegation?.actFor ?? [])]) {
    if (!('pattern' in subject)) continue;
    const { trustDomain, programSize } = subject.compiled;
    const before = sizes.get(trustDomain) ?? 0;
    const size = before + programSize;
    sizes.set(trustDomain, size);
    if (before <= maxTrustDomainProgramSize && size > maxTrustDomainProgramSize) {
      const message = `make the patterns for ${quote(trustDomain)}, the other grants' included, larger than ${maxTrustDomainProgramSize} RE2 instructions: each is tried at every request of its workloads, so use prefix or spiffeId`;
      problems.add(source, ['spec', 'subjects'], message);
    }
  }
}

function compileGrant(
  { source, document }: Checked<GrantDocument>,
  policy: CheckedPolicy,
  resourceByName: ReadonlyMap<string, Resource>,
  {
    condition,
    schemas,
  }: { readonly condition: Condition | undefined; readonly schemas: Map<string, RequestedClaim> },
  context: PolicyContext,
  problems: Problems,
): Grant | undefined {
  const { metadata, spec } = document;
  const report: Report = (path, message) => problems.add(source, ['spec', ...path], message);

  const compileSubjects = (entries: readonly SubjectEntry[], ...field: FieldPath) =>
    entries.flatMap((entry, index) => {
      const at: Report = (path, message) => report([...field, index, ...path], message);
      const subject = compileSubject(entry, spec.acknowledgeWide, policy, context, at);
      return subject === undefined ? [] : [subject];
    });
  const subjects = compileSubjects(spec.subjects, 'subjects');
  const delegation = spec.delegation && {
    actFor: compileSubjects(spec.delegation.actFor, 'delegation', 'actFor'),
    impersonate: spec.delegation.impersonate,
  };
  if (spec.maxTokenLifetime !== undefined && spec.maxTokenLifetime > maxLifetimeSeconds) {
    report(['maxTokenLifetime'], 'must be at most 24h');
  }

  const claims = compileGrantClaims(spec.claims, schemas, report);
  const scopes = new Set(spec.scopes);
  for (const [index, scope] of spec.defaultScopes.entries()) {
    if (!scopes.has(scope)) {
      report(['defaultScopes', index], `${quote(scope)} is not among this grant's scopes: add it there too`);
    }
  }
  const resource = resourceByName.get(spec.resource);
  if (resource === undefined) {
    if (!policy.declares('Resource', spec.resource)) {
      const known = suggest(spec.resource, [...resourceByName.keys()].slice(0, maxSuggestions));
      report(['resource'], `there is no Resource named ${quote(spec.resource)}: ${known}`);
    }
    return undefined;
  }
  if (resource.name === adminResourceName) checkAdminGrant(spec, report);
  for (const [index, scope] of spec.scopes.entries()) {
    if (resource.scopes.has(scope)) continue;
    const known = suggest(scope, [...resource.scopes].slice(0, maxSuggestions));
    report(['scopes', index], `Resource ${quote(resource.name)} has no scope ${quote(scope)}: ${known}`);
  }
  return {
    name: metadata.name,
    resource,
    subjects,
    scopes,
    defaultScopes: spec.defaultScopes,
    maxTokenLifetimeSeconds: spec.maxTokenLifetime,
    isDefault: spec.default,
    claims,
    condition,
    isObserved: spec.mode === 'observe',
    delegation,
    notAfter: spec.notAfter === undefined ? undefined : Date.parse(spec.notAfter),
  };
}
