/** A Grant subject's `pattern`: RE2 over the path of one literal trust domain, always the whole ID. */
import { RE2JS, RE2JSException } from 're2js';
import { isTrustDomainName, type SpiffeId, trustDomainOf } from '../spiffe-id.ts';

/** Of one pattern, and of all patterns of one trust domain: each is run for each of its workloads' decisions. */
export const maxPatternsPerTrustDomain = 16;
const maxPatternLength = 256;
const maxProgramSize = 250; // RE2 instructions; the cost of a match is this times the ID's length

export interface WorkloadPattern {
  readonly trustDomain: string;
  /** Whether it holds no literal that narrows it, so that it covers IDs that its author cannot have meant. */
  readonly isWide: boolean;
  covers(id: SpiffeId): boolean;
}

/** The pattern, or the sentence that says what is wrong with it. */
export function compileWorkloadPattern(text: string): WorkloadPattern | string {
  if (text.length > maxPatternLength) return `is longer than ${maxPatternLength} characters`;
  const [, escapedDomain, path] = /^\^?spiffe:\/\/((?:[a-z0-9_-]|\\\.)+)\/(.+)$/.exec(text) ?? [];
  if (escapedDomain === undefined || path === undefined) {
    return 'must begin with one literal trust domain whose dots are escaped, then a path: spiffe://prod\\.example/team-[a-z]+/.*';
  }
  if (hasTopLevelAlternative(path)) {
    return 'holds "|" outside of parentheses: write (?:a|b), or one subject for each';
  }
  // The path is compiled alone: nothing that it holds can reach the trust domain, which is compared as a string.
  const program = compileRe2(path);
  if (program === undefined) return 'is not an RE2 expression (without lookaround or backreferences)';
  if (program.programSize() > maxProgramSize) return 'is too large: write smaller repeat counts';
  const trustDomain = escapedDomain.replaceAll('\\.', '.');
  if (!isTrustDomainName(trustDomain)) return 'names a trust domain that is longer than 255 bytes';
  const pathStart = `spiffe://${trustDomain}/`.length;
  return {
    trustDomain,
    isWide: unlikelyPaths.some((unlikely) => program.testExact(unlikely)),
    covers: (id) => trustDomainOf(id) === trustDomain && program.testExact(id.slice(pathStart)),
  };
}

/** No literal that somebody writes on purpose matches these, at any depth. */
const unlikelyPaths = ['q', 'Z', '7', 'qzjxqzjx', 'QZJXQZJX', '70817081', 'qZ7-x_J.q0'].flatMap((segment) =>
  [1, 2, 3, 4, 5, 6].map((depth) => Array.from({ length: depth }, () => segment).join('/')),
);

function compileRe2(path: string): RE2JS | undefined {
  try {
    return RE2JS.compile(path);
  } catch (error) {
    if (error instanceof RE2JSException) return undefined;
    throw error;
  }
}

/** `spiffe://a/b|c` reads as two whole IDs, but would be two paths. */
function hasTopLevelAlternative(path: string): boolean {
  let depth = 0;
  for (const [token] of path.matchAll(/\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[()|]/g)) {
    if (token === '(') depth += 1;
    else if (token === ')') depth -= 1;
    else if (token === '|' && depth <= 0) return true;
  }
  return false;
}
