/** Checks and compiles Grant documents: who may have which scopes on which resource. */

import { isTrustDomainName, parseSpiffeId, trustDomainOf } from '../spiffe-id.ts';
import { checkAdminGrant } from './admin-grants.ts';
import { adminResourceName } from './admin-resource.ts';
import type { Checked, CheckedPolicy } from './check.ts';
import type { Condition } from './condition.ts';
import type { Conditions } from './conditions.ts';
import type { GrantDocument } from './document.ts';
import { compileGrantClaims } from './grant-claims.ts';
import { quote, suggest } from './nearest-word.ts';
import type { Problems } from './problems.ts';
import type { Grant, PolicyContext, RequestedClaim, Resource, Subject } from './snapshot.ts';
import type { FieldPath } from './source.ts';
import { compileWorkloadPattern, maxTrustDomainProgramSize } from './workload-pattern.ts';

type Report = (path: FieldPath, message: string) => void;
type SubjectEntry = GrantDocument['spec']['subjects'][number];

const maxLifetimeSeconds = 86_400;
const maxSuggestions = 200;
const maxSpiffeIdBytes = 2048; // SPIFFE-ID §2.3

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

function compileSubject(
  entry: SubjectEntry,
  isWideAcknowledged: boolean,
  policy: CheckedPolicy,
  context: PolicyContext,
  report: Report,
): Subject | undefined {
  const { spiffeId, prefix, pattern, trustDomain, issuer } = entry;
  if (spiffeId !== undefined) return compileSpiffeSubject('spiffeId', spiffeId, policy, context, report);
  if (prefix !== undefined) return compileSpiffeSubject('prefix', prefix, policy, context, report);
  if (pattern !== undefined) return compilePattern(pattern, isWideAcknowledged, policy, context, report);
  if (trustDomain !== undefined) {
    if (!isTrustDomainName(trustDomain)) {
      report(['trustDomain'], 'must be the name of a trust domain: prod.example, not spiffe://prod.example');
      return undefined;
    }
    if (!isWideAcknowledged) {
      report(
        ['trustDomain'],
        'is every workload of that trust domain: write spec.acknowledgeWide: true if that is meant',
      );
    }
    return isKnownTrustDomain(trustDomain, 'trustDomain', policy, context, report)
      ? { trustDomain }
      : undefined;
  }
  if (issuer === undefined) return undefined;
  if (!policy.declares('Issuer', issuer)) {
    const known = policy.issuers.slice(0, maxSuggestions).map(({ document }) => document.metadata.name);
    report(['issuer'], `there is no Issuer named ${quote(issuer)}: ${suggest(issuer, known)}`);
    return undefined;
  }
  return { issuer };
}

function compilePattern(
  text: string,
  isWideAcknowledged: boolean,
  policy: CheckedPolicy,
  context: PolicyContext,
  report: Report,
): Subject | undefined {
  const compiled = compileWorkloadPattern(text);
  if (typeof compiled === 'string') {
    report(['pattern'], compiled);
    return undefined;
  }
  if (!isKnownTrustDomain(compiled.trustDomain, 'pattern', policy, context, report)) return undefined;
  if (compiled.isWide && !isWideAcknowledged) {
    report(
      ['pattern'],
      'covers workloads of any name: put a literal in its path, or write spec.acknowledgeWide: true if that is meant',
    );
  }
  return { pattern: text, compiled };
}

function compileSpiffeSubject(
  field: 'spiffeId' | 'prefix',
  text: string,
  policy: CheckedPolicy,
  context: PolicyContext,
  report: Report,
): Subject | undefined {
  const id = parseSpiffeId(text);
  if (id === undefined) {
    report([field], spiffeSentence(field, text));
    return undefined;
  }
  if (!isKnownTrustDomain(trustDomainOf(id), field, policy, context, report)) return undefined;
  return field === 'spiffeId' ? { spiffeId: id } : { prefix: id };
}

function spiffeSentence(field: 'spiffeId' | 'prefix', text: string): string {
  // Before the pattern below, whose cost grows with the square of the length.
  if (text.length > maxSpiffeIdBytes) return `is longer than the ${maxSpiffeIdBytes} bytes of a SPIFFE ID`;
  const withoutSlash = text.replace(/\/+$/, '');
  if (/^spiffe:\/\/[a-z0-9._-]+$/.test(withoutSlash)) {
    return 'names a trust domain without a path: for all of its workloads write trustDomain instead';
  }
  if (withoutSlash !== text) return 'must not end with "/": leave the slash out';
  if (text.includes('*')) {
    return 'holds "*", which is not a wildcard here: use prefix, which covers everything below its last segment';
  }
  return `must be a SPIFFE ID${field === 'prefix' ? ' whose whole path segments are matched' : ''}: spiffe://trust-domain/segment/…, with letters, digits, ".", "_" and "-" only`;
}

function isKnownTrustDomain(
  name: string,
  field: 'spiffeId' | 'prefix' | 'pattern' | 'trustDomain',
  policy: CheckedPolicy,
  context: PolicyContext,
  report: Report,
): boolean {
  if (name === context.trustDomain || policy.declares('TrustDomain', name)) return true;
  const known = policy.trustDomains.slice(0, maxSuggestions).map(({ document }) => document.metadata.name);
  report(
    [field],
    `there is no TrustDomain named ${quote(name)}: ${suggest(name, [...known, context.trustDomain])}`,
  );
  return false;
}
