/** Checks and compiles the conditions of documents: CEL, of which nothing may rest on what callers write themselves. */
import { TypeError as CelTypeError, Environment, ParseError } from '@marcbachmann/cel-js';
import type { Platform } from '../platform.ts';
import type { CheckedPolicy } from './check.ts';
import { type Condition, maxSteps } from './condition.ts';
import { compileProgram } from './condition-program.ts';
import { isFailure, type Program } from './condition-value.ts';
import type { GrantDocument, IssuerDocument } from './document.ts';
import type { Problems } from './problems.ts';

export interface Conditions {
  /** Those that could be compiled. */
  readonly byDocument: ReadonlyMap<IssuerDocument | GrantDocument, Condition>;
  /** Of every claim that a grant's condition reads, whichever issuer's it is. */
  readonly grantClaimPaths: readonly string[];
}

/** What is wrong with any condition goes to `problems`. */
export function compileConditions(
  { issuers, grants }: CheckedPolicy,
  platforms: readonly Platform[],
  problems: Problems,
): Conditions {
  const byDocument = new Map<IssuerDocument | GrantDocument, Condition>();
  for (const { source, document } of issuers) {
    const { condition, platform: name } = document.spec;
    if (condition === undefined) continue;
    const callerClaims = platforms.find((platform) => platform.name === name)?.callerClaims;
    const compiled = compileSafely(condition, 'Issuer', callerClaims ?? []);
    if (typeof compiled === 'string') problems.add(source, ['spec', 'condition'], compiled);
    else byDocument.set(document, compiled);
  }
  // A grant may meet identities of any platform, so that no platform's caller-written claims may decide it.
  const callerClaims = platforms.flatMap((platform) => platform.callerClaims ?? []);
  const compiledBySource = new Map<string, Condition | string>();
  for (const { source, document } of grants) {
    const { condition } = document.spec;
    if (condition === undefined) continue;
    const compiled = compiledBySource.get(condition) ?? compileSafely(condition, 'Grant', callerClaims);
    compiledBySource.set(condition, compiled);
    if (typeof compiled === 'string') problems.add(source, ['spec', 'condition'], compiled);
    else byDocument.set(document, compiled);
  }
  const grantClaimPaths = new Set(
    [...compiledBySource.values()].flatMap((compiled) =>
      typeof compiled === 'string' ? [] : compiled.claimPaths,
    ),
  );
  return { byDocument, grantClaimPaths: [...grantClaimPaths] };
}

function compileSafely(
  text: string,
  kind: 'Issuer' | 'Grant',
  callerClaims: readonly string[],
): Condition | string {
  const compiled = compileCondition(text, kind);
  if (typeof compiled === 'string') return compiled;
  // What lies above such a claim is refused too: an expression can look into it.
  const claim = callerClaims.find((caller) =>
    compiled.claimPaths.some(
      (path) => path === caller || path.startsWith(`${caller}.`) || caller.startsWith(`${path}.`),
    ),
  );
  if (claim === undefined) return compiled;
  return `rests on ${claim}, which the caller itself writes: name a claim that the platform sets`;
}

const limits = {
  maxAstNodes: 400,
  maxDepth: 32,
  maxListElements: 200,
  maxCallArguments: 3,
};

const issuerEnvironment = new Environment({ limits }).registerVariable('claims', 'map<string, dyn>');
const grantEnvironment = issuerEnvironment
  .clone()
  .registerVariable({
    name: 'identity',
    schema: { spiffe_id: 'string', issuer: 'string', trust_domain: 'string' },
  })
  .registerVariable({ name: 'request', schema: { audience: 'string', scopes: 'list<string>' } });

/** The condition, or the sentence that says what is wrong with it. An Issuer's reads `claims` alone. */
export function compileCondition(source: string, kind: 'Issuer' | 'Grant'): Condition | string {
  const claimPaths = new Set<string>();
  let program: Program;
  try {
    const expression = (kind === 'Issuer' ? issuerEnvironment : grantEnvironment).parse(source);
    const { valid, type, error } = expression.check();
    if (!valid) throw error ?? new Error('has no type');
    if (type !== 'bool') {
      return `gives ${type === 'dyn' ? 'a claim' : `a value of type ${type}`}, not true or false: compare it, as in claims.ref == "refs/heads/main"`;
    }
    program = compileProgram(expression.ast, { compile: compileProgram, locals: new Map(), claimPaths });
  } catch (error) {
    return sentenceOf(error);
  }
  return {
    source,
    claimPaths: [...claimPaths],
    evaluate({ claims, identity = {}, request = {} }, budget) {
      const granted = Math.min(maxSteps, budget.left);
      const meter = { left: granted };
      const outcome = program({ variables: { claims, identity, request }, locals: [], meter });
      budget.left -= granted - Math.max(0, meter.left);
      if (outcome === true) return { holds: true };
      return { holds: false, why: isFailure(outcome) ? outcome.why : undefined };
    },
  };
}

function sentenceOf(error: unknown): string {
  if (error instanceof ParseError || error instanceof CelTypeError) {
    const column = error.range === undefined ? '' : ` (at character ${error.range.start + 1})`;
    return `is not a CEL expression that can be checked: ${error.summary}${column}`;
  }
  if (error instanceof Error) return error.message;
  throw error;
}
