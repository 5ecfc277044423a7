/** Checks and compiles Issuer documents: whose tokens are accepted, under which keys, as which SPIFFE IDs. */

import type { Platform } from '../platform.ts';
import type { Checked } from './check.ts';
import { isClaimPath } from './claim-path.ts';
import type { Conditions } from './conditions.ts';
import { findOverlaps } from './disjoint-issuers.ts';
import type { IssuerDocument, ManagedBy } from './document.ts';
import { inlineKeysProblems } from './inline-keys.ts';
import { issuerWarnings } from './issuer-warnings.ts';
import { quote, suggest } from './nearest-word.ts';
import { isPersonalClaim } from './personal-claims.ts';
import { privateHostsProblems } from './private-hosts.ts';
import { type Problems, placeOf } from './problems.ts';
import { proofProblems } from './proof-problems.ts';
import { regionCertificateProblems } from './region-certificates.ts';
import type { PolicyContext, TrustedIssuer } from './snapshot.ts';
import type { FieldPath } from './source.ts';
import { parseSubjectTemplate, type SubjectTemplate } from './subject-template.ts';
import { tokenReviewProblems } from './token-review-problems.ts';
import { isSamePlace, trustedUrlProblem } from './trusted-url.ts';

type Spec = IssuerDocument['spec'];
type Report = (path: FieldPath, message: string) => void;

const maxTokenAgeSeconds = 7 * 86_400;

/** The issuers that could be compiled; what is wrong with any goes to `problems`. */
export function compileIssuers(
  checked: readonly Checked<IssuerDocument>[],
  context: PolicyContext,
  conditions: Conditions,
  problems: Problems,
): TrustedIssuer[] {
  const compiled = checked.flatMap((entry) => {
    const report: Report = (path, message) => problems.add(entry.source, ['spec', ...path], message);
    const issuer = compileIssuer(entry.document, conditions, context, entry.source.managedBy, report);
    for (const { path, message } of issuer === undefined ? [] : issuerWarnings(entry.document.spec, issuer)) {
      problems.warn(entry.source, ['spec', ...path], message);
    }
    return issuer === undefined ? [] : [{ ...entry, issuer }];
  });
  const entryOf = new Map(compiled.map((entry) => [entry.issuer, entry]));
  for (const [later, earlier] of findOverlaps(compiled.map(({ issuer }) => issuer))) {
    const [at, other] = [entryOf.get(later), entryOf.get(earlier)];
    if (at === undefined || other === undefined) continue;
    problems.add(
      at.source,
      ['spec', 'issuer'],
      `one token could satisfy this document and ${placeOf(other.source, ['spec', 'issuer'])}: give them different inline keys or jwksUri, or let both require one claim with different values`,
    );
  }
  refuseSharedPaths(compiled, problems);
  return compiled.map(({ issuer }) => issuer);
}

function compileIssuer(
  document: IssuerDocument,
  conditions: Conditions,
  context: PolicyContext,
  managedBy: ManagedBy,
  report: Report,
): TrustedIssuer | undefined {
  const { metadata, spec } = document;
  const platform = context.platforms.find(({ name }) => name === spec.platform);
  if (platform === undefined) {
    const known = context.platforms.map(({ name }) => name);
    report(['platform'], `unknown platform ${quote(spec.platform)}: ${suggest(spec.platform, known)}`);
  }
  checkIssuerUrl(spec.issuer, platform, context, report);
  checkKeys(spec.keys, platform, report);
  for (const { path, message } of tokenReviewProblems(spec.keys.tokenReview, platform, managedBy)) {
    report(path, message);
  }
  checkRequire(spec, platform, report);
  if (spec.maxTokenAge !== undefined && spec.maxTokenAge > maxTokenAgeSeconds) {
    report(['maxTokenAge'], 'must be at most 7d');
  }
  checkAudiences(spec.audiences, platform, report);
  for (const { path, message } of proofProblems(spec, platform)) report(path, message);
  for (const { path, message } of regionCertificateProblems(spec, platform)) report(path, message);
  checkAuditClaims(spec.auditClaims, report);
  const subject = compileSubject(metadata.name, spec, platform, report);
  if (platform === undefined || subject === undefined) return undefined;

  const require = Object.entries(spec.require ?? {}).map(([path, value]) => ({
    path,
    values: Array.isArray(value) ? value : [value],
  }));
  const condition = conditions.byDocument.get(document);
  const named = new Set([
    ...subject.claimPaths,
    ...require.map(({ path }) => path),
    ...(condition?.claimPaths ?? []),
    ...conditions.grantClaimPaths,
  ]);
  return {
    name: metadata.name,
    issuerUrl: spec.issuer,
    platform,
    audiences: spec.audiences ?? [context.issuer],
    keys: spec.keys,
    subject,
    require,
    condition,
    isObserved: spec.mode === 'observe',
    maxTokenAgeSeconds: spec.maxTokenAge,
    once: spec.replay === 'once' || platform.isOneTime === true,
    auditClaims: spec.auditClaims ?? [...named].filter((path) => !isPersonalClaim(path)),
  };
}

function checkIssuerUrl(
  issuer: string,
  platform: Platform | undefined,
  context: PolicyContext,
  report: Report,
): void {
  const problem = platform?.hasUploadedKeys === true ? nameProblem(issuer) : trustedUrlProblem(issuer);
  if (problem !== undefined) report(['issuer'], problem);
  else if (isSamePlace(issuer, context.issuer)) {
    report(
      ['issuer'],
      'is Mintmark itself, whose tokens are never credentials: name the platform’s own issuer',
    );
  }
}

/** A name is only ever compared; nothing is fetched from it. */
function nameProblem(issuer: string): string | undefined {
  return /[\s\p{C}]/u.test(issuer) ? 'must hold no spaces or control characters' : undefined;
}

function checkKeys(keys: Spec['keys'], platform: Platform | undefined, report: Report): void {
  const reportIn: Report = (path, message) => report(['keys', ...path], message);
  if (platform?.hasUploadedKeys === true && keys.jwks === undefined) {
    reportIn([], 'must be jwks: this platform’s keys are yours, and stand in the document');
  }
  if (keys.jwksUri !== undefined) {
    const problem = trustedUrlProblem(keys.jwksUri);
    if (problem !== undefined) reportIn(['jwksUri'], problem);
  }
  if (keys.jwks !== undefined) {
    for (const { path, message } of inlineKeysProblems(keys.jwks, ['jwks'], 'sig')) reportIn(path, message);
  }
  const isFetched = keys.jwks === undefined && keys.regionCertificates === undefined;
  for (const { path, message } of privateHostsProblems(keys.allowPrivateHosts, isFetched)) {
    reportIn(path, message);
  }
}

function checkRequire(spec: Spec, platform: Platform | undefined, report: Report): void {
  const paths = Object.keys(spec.require ?? {});
  for (const path of paths) {
    if (!isClaimPath(path)) {
      report(
        ['require', path],
        'is not a claim path: write segments joined by dots, none of them empty, without spaces',
      );
    }
    refuseCallerClaims([path], platform, (message) => report(['require', path], message));
    const values = [spec.require?.[path]].flat();
    if (values.some((value) => typeof value === 'number' && !isExact(value))) {
      report(['require', path], 'is a number too large to be exact: if the claim is a string, quote it');
    }
  }
  if (platform === undefined || !platform.isSharedIssuer(spec.issuer)) return;
  if (!platform.tenantClaims.some((claim) => paths.includes(claim))) {
    report(
      ['require'],
      `anyone can get a token from this issuer: pin ${platform.tenantClaims.join(' or ')} to your own`,
    );
  }
}

function refuseCallerClaims(
  paths: readonly string[],
  platform: Platform | undefined,
  report: (message: string) => void,
): void {
  for (const claim of platform?.callerClaims ?? []) {
    if (!paths.some((path) => path === claim || path.startsWith(`${claim}.`))) continue;
    report(`rests on ${claim}, which the caller itself writes: name a claim that the platform sets`);
  }
}

function isExact(value: number): boolean {
  return !Number.isInteger(value) || Number.isSafeInteger(value);
}

function checkAudiences(
  audiences: readonly string[] | undefined,
  platform: Platform | undefined,
  report: Report,
): void {
  for (const [index, audience] of (audiences ?? []).entries()) {
    if (platform?.foreignAudiences?.includes(audience)) {
      report(
        ['audiences', index],
        'is meant for someone else, who could use its tokens here: have tokens made for Mintmark’s own issuer',
      );
    }
    if (/[\s\p{Cc}]/u.test(audience))
      report(['audiences', index], 'must hold no spaces or control characters');
  }
}

function checkAuditClaims(auditClaims: readonly string[] | undefined, report: Report): void {
  for (const [index, path] of (auditClaims ?? []).entries()) {
    if (!isClaimPath(path)) {
      report(
        ['auditClaims', index],
        'is not a claim path: write segments joined by dots, none of them empty, without spaces',
      );
    } else if (isPersonalClaim(path)) {
      report(
        ['auditClaims', index],
        'names a person or an e-mail address, which the audit never keeps: name an id',
      );
    }
  }
}

function compileSubject(
  name: string,
  spec: Spec,
  platform: Platform | undefined,
  report: Report,
): SubjectTemplate | undefined {
  const template = spec.subject ?? platform?.defaultSubject;
  if (template === undefined) return undefined;
  try {
    const parsed = parseSubjectTemplate(template, name);
    refuseCallerClaims(parsed.claimPaths, platform, (message) => report(['subject'], message));
    return parsed;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const missing =
      spec.subject === undefined ? `write a subject: the default of ${spec.platform} fails, ` : '';
    report(['subject'], `${missing}${error.message}`);
    return undefined;
  }
}

interface Compiled extends Checked<IssuerDocument> {
  readonly issuer: TrustedIssuer;
}

/** No issuer's own part of the trust domain may hold another's: no platform can speak for another. */
function refuseSharedPaths(compiled: readonly Compiled[], problems: Problems): void {
  const owned = compiled
    .map((entry) => ({ ...entry, path: `/${entry.issuer.subject.leadingSegments.join('/')}/` }))
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  let [owner] = owned;
  for (const entry of owned.slice(1)) {
    if (owner === undefined || !entry.path.startsWith(owner.path)) {
      owner = entry;
      continue;
    }
    const message = `its IDs lie under ${owner.path}, which is ${placeOf(owner.source, ['spec', 'subject'])}'s: begin it with segments of its own, as in /${entry.issuer.name}/…`;
    problems.add(entry.source, ['spec', 'subject'], message);
  }
}
