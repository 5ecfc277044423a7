/** A Grant subject's `pattern`: RE2 over the path of one literal trust domain, always the whole ID. */
import { type SpiffeId, trustDomainOf } from '../spiffe-id.ts';
import { compileWholeMatch, maxExpressionLength } from './re2.ts';

/**
 * RE2 instructions of all patterns of one trust domain: each is run for each of its workloads' decisions, and a match costs
 * its instructions times the path's length, whatever pattern and path are made of. With both at their limit, milliseconds.
 */
export const maxTrustDomainProgramSize = 300;
const maxPathLength = 256;

export interface WorkloadPattern {
  readonly trustDomain: string;
  /** In RE2 instructions. */
  readonly programSize: number;
  /** Whether it holds no literal that narrows it, so that it covers IDs that its author cannot have meant. */
  readonly isWide: boolean;
  /** Never true of an ID whose path is longer than 256 characters. */
  covers(id: SpiffeId): boolean;
}

/** The pattern, or the sentence that says what is wrong with it. */
export function compileWorkloadPattern(text: string): WorkloadPattern | string {
  if (text.length > maxExpressionLength) return `is longer than ${maxExpressionLength} characters`;
  const [, escapedDomain, path] = /^\^?spiffe:\/\/((?:[a-z0-9_-]|\\\.)+)\/(.+)$/.exec(text) ?? [];
  if (escapedDomain === undefined || path === undefined) {
    return 'must begin with one literal trust domain whose dots are escaped, then a path: spiffe://prod\\.example/team-[a-z]+/.*';
  }
  // The path is compiled alone: nothing that it holds can reach the trust domain, which is compared as a string.
  const program = compileWholeMatch(path);
  if (typeof program === 'string') return program;
  const trustDomain = escapedDomain.replaceAll('\\.', '.');
  const pathStart = `spiffe://${trustDomain}/`.length;
  return {
    trustDomain,
    programSize: program.size,
    isWide: unlikelyPaths.some((unlikely) => program.matches(unlikely)),
    covers: (id) =>
      trustDomainOf(id) === trustDomain &&
      id.length - pathStart <= maxPathLength &&
      program.matches(id.slice(pathStart)),
  };
}

/** No literal that somebody writes on purpose matches these, at any depth. */
const unlikelyPaths = ['q', 'Z', '7', 'qzjxqzjx', 'QZJXQZJX', '70817081', 'qZ7-x_J.q0'].flatMap((segment) =>
  [1, 2, 3, 4, 5, 6].map((depth) => Array.from({ length: depth }, () => segment).join('/')),
);
