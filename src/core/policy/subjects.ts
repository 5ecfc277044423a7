/** Checks and compiles the subjects that a Grant or a Resource names: whom it covers. */
import { isTrustDomainName, parseSpiffeId, trustDomainOf } from '../spiffe-id.ts';
import type { CheckedPolicy } from './check.ts';
import type { GrantDocument } from './document.ts';
import { quote, suggest } from './nearest-word.ts';
import type { PolicyContext, Subject } from './snapshot.ts';
import type { FieldPath } from './source.ts';
import { compileWorkloadPattern } from './workload-pattern.ts';

export type Report = (path: FieldPath, message: string) => void;
export type SubjectEntry = GrantDocument['spec']['subjects'][number];

const maxSuggestions = 200;
const maxSpiffeIdBytes = 2048; // SPIFFE-ID §2.3

/** The subject, or undefined where something is wrong with it, which `report` is told. */
export function compileSubject(
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
