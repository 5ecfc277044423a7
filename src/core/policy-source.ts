/** One document as it was read, knowing where each of its fields stands. */
import type { ManagedBy } from './policy-document.ts';

/** What is wrong with a policy, precise enough to mend it. */
export interface PolicyProblem {
  /** `Grant/orders`. */
  readonly document: string;
  /** `spec.scopes[0]`; empty for the document itself. */
  readonly field: string;
  readonly file?: string;
  /** 1-based. */
  readonly line?: number;
  readonly message: string;
}

export type FieldPath = readonly (string | number)[];

export interface PolicySource {
  readonly value: unknown;
  readonly managedBy: ManagedBy;
  /** Where the field, or the nearest thing around it, stands. */
  readonly locate: (path: FieldPath) => { readonly file?: string; readonly line?: number };
}

export class PolicyRefused extends Error {
  override readonly name = 'PolicyRefused';
  readonly problems: readonly PolicyProblem[];

  constructor(problems: readonly PolicyProblem[]) {
    super(`policy refused: ${problems.map(describeProblem).join('; ')}`);
    this.problems = problems;
  }
}

export function describeProblem(problem: PolicyProblem): string {
  const place = [problem.file, problem.line].filter((part) => part !== undefined).join(':');
  const field = problem.field === '' ? '' : ` ${problem.field}`;
  return `${place === '' ? '' : `${place}: `}${problem.document}${field}: ${problem.message}`;
}
