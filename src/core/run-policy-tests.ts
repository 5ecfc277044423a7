/** Runs policy tests: each case is decided as an exchange would, and compared with what its author expects. */
import { isDeepStrictEqual } from 'node:util';
import { actorsOf, partiesOf } from './delegation.ts';
import type { Reason } from './error.ts';
import { type Explanation, explainSupposed, type GrantVerdict } from './explain.ts';
import type { PolicyTest, PolicyTestCase, SupposedParty } from './policy/policy-test.ts';
import type { PolicySnapshot } from './policy/snapshot.ts';
import { describeField, type FieldPath } from './policy/source.ts';
import type { Suppose, Supposed } from './supposed.ts';

export interface Difference {
  /** `expect.scope`. */
  readonly field: string;
  /** 1-based. */
  readonly line?: number;
  readonly expected: string;
  readonly actual: string;
}

export interface CaseResult {
  /** The name of the PolicyTest document. */
  readonly test: string;
  readonly name: string;
  readonly file?: string;
  readonly line?: number;
  /** None where it passed. */
  readonly differences: readonly Difference[];
  /** Why the decision was as it was. */
  readonly reason?: Reason;
  readonly detail?: string;
  readonly grants: readonly GrantVerdict[];
}

/** What tests have permitted: the grants that gave a token, and the issuers that vouched for a caller. */
export interface Coverage {
  readonly percent: number;
  readonly grants: CoveredKind;
  readonly issuers: CoveredKind;
}

export interface CoveredKind {
  readonly total: number;
  /** By name. */
  readonly missing: readonly string[];
}

export interface TestRun {
  readonly cases: readonly CaseResult[];
  readonly coverage: Coverage;
}

/** `nowMillis` is the time of the cases that name none. */
export function runPolicyTests(
  tests: readonly PolicyTest[],
  policy: PolicySnapshot,
  suppose: Suppose,
  nowMillis: number,
): TestRun {
  const usedGrants = new Set<string>();
  const usedIssuers = new Set<string>();
  const cases = tests.flatMap(({ source, document }) =>
    document.spec.map((testCase, index): CaseResult => {
      const explanation = explainCase(testCase, policy, suppose, nowMillis);
      for (const { grant, contributes } of explanation.grants) if (contributes) usedGrants.add(grant);
      const { identity, delegation } = explanation;
      for (const { issuer } of identity ? partiesOf(identity, delegation) : []) {
        if (issuer !== undefined) usedIssuers.add(issuer);
      }
      const lineOf = (path: FieldPath) => source.locate(['spec', index, ...path]);
      const differences = compare(testCase.expect, explanation).map(({ field, ...difference }) => {
        const { line } = lineOf(['expect', field]);
        const place = line === undefined ? {} : { line };
        return { field: describeField(['expect', field]), ...place, ...difference };
      });
      const { reason, detail, grants } = explanation;
      return {
        test: document.metadata.name,
        name: testCase.name ?? describeCase(testCase),
        ...lineOf([]),
        differences,
        ...(reason === undefined ? {} : { reason }),
        ...(detail === undefined ? {} : { detail }),
        grants,
      };
    }),
  );
  return { cases, coverage: coverageOf(policy, usedGrants, usedIssuers) };
}

function explainCase(
  { given, request, at }: PolicyTestCase,
  policy: PolicySnapshot,
  suppose: Suppose,
  nowMillis: number,
): Explanation {
  const atMillis = at === undefined ? nowMillis : Date.parse(at);
  const { subject, actor } = given;
  const { additional_claims: additionalClaims, ...asked } = request;
  const question = {
    given: supposedOf(given),
    subject: subject && { given: supposedOf(subject), scope: subject.scope },
    actor: actor && supposedOf(actor),
    ...asked,
    additionalClaims,
  };
  return explainSupposed(question, suppose, policy, atMillis);
}

function supposedOf({ spiffeId, issuer, claims = {} }: SupposedParty): Supposed {
  return issuer === undefined ? { spiffeId: spiffeId ?? '', claims } : { issuer, claims };
}

type Expected = PolicyTestCase['expect'];

/** Only whether it is permitted where already that differs: the rest follows from it. */
function compare(
  expected: Expected,
  { outcome, reason, identity, decision }: Explanation,
): readonly Difference[] {
  const isPermitted = outcome === 'permitted';
  if (expected.permit !== isPermitted) {
    const actual = isPermitted ? 'true' : `false (${reason})`;
    return [{ field: 'permit', expected: String(expected.permit), actual }];
  }
  const differences = [
    differ('reason', expected.reason, reason, String),
    differ('subject', expected.subject, decision?.permit ? decision.subject : identity?.spiffeId, String),
  ];
  if (decision?.permit) {
    const grants = decision.grants.map(({ name }) => name);
    differences.push(
      differ('audience', expected.audience, decision.resource.audience, String),
      differ('scope', sorted(expected.scope?.split(' ').filter(Boolean)), sorted(decision.scopes), joined),
      differ('lifetime', expected.lifetime, decision.lifetimeSeconds, (seconds) => `${seconds}s`),
      differ('claims', expected.claims, decision.claims, (claims) => JSON.stringify(claims)),
      differ('actors', expected.actors, actorsOf(decision.act), joined),
      differ('grants', sorted(expected.grants), sorted(grants), joined),
    );
  }
  return differences.flat();
}

function differ<T>(
  field: string,
  expected: T | undefined,
  actual: T | undefined,
  write: (value: T) => string,
): readonly Difference[] {
  if (expected === undefined || isDeepStrictEqual(expected, actual)) return [];
  return [{ field, expected: write(expected), actual: actual === undefined ? 'none' : write(actual) }];
}

function sorted(texts: readonly string[] | undefined): readonly string[] | undefined {
  return texts && [...new Set(texts)].sort();
}

function joined(texts: readonly string[]): string {
  return texts.length === 0 ? '(none)' : texts.join(' ');
}

function describeCase({ given, request }: PolicyTestCase): string {
  const nameOf = ({ spiffeId, issuer }: SupposedParty) => spiffeId ?? `claims of ${issuer}`;
  const whom = given.subject === undefined ? '' : ` for ${nameOf(given.subject)}`;
  const scope = request.scope === undefined ? '' : ` with ${request.scope}`;
  const names = Object.keys(request.additional_claims ?? {});
  const adding = names.length === 0 ? '' : `, adding ${names.join(' ')}`;
  return `${nameOf(given)}${whom} asks for ${request.audience ?? 'the default target'}${scope}${adding}`;
}

function coverageOf(
  { documents }: PolicySnapshot,
  grants: ReadonlySet<string>,
  issuers: ReadonlySet<string>,
): Coverage {
  const coveredOf = (kind: 'Grant' | 'Issuer', used: ReadonlySet<string>): CoveredKind => {
    const names = documents.filter((document) => document.kind === kind).map(({ name }) => name);
    return { total: names.length, missing: names.filter((name) => !used.has(name)).sort() };
  };
  const covered = { grants: coveredOf('Grant', grants), issuers: coveredOf('Issuer', issuers) };
  const total = covered.grants.total + covered.issuers.total;
  const missing = covered.grants.missing.length + covered.issuers.missing.length;
  const percent = total === 0 ? 100 : Math.floor((100 * (total - missing)) / total);
  return { percent, ...covered };
}
