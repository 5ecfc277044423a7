/** How a policy is refused: for what it says, or for who may change it. */

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

export class PolicyRefused extends Error {
  override readonly name = 'PolicyRefused';
  readonly problems: readonly PolicyProblem[];

  constructor(problems: readonly PolicyProblem[]) {
    super(`policy refused: ${problems.map(describeProblem).join('; ')}`);
    this.problems = problems;
  }
}

const lastAdminSentence =
  'nobody could change the policy any more, since the bootstrap token is off: keep a grant on mintmark-admin without notAfter or condition that gives policy:write and policy:admin to an identity for which an Issuer or TrustDomain here vouches';

/** A change after which nobody could change the policy any more. */
export class LastAdminRemoved extends PolicyRefused {
  constructor() {
    super([{ document: 'policy', field: '', message: lastAdminSentence }]);
  }
}

export function describeProblem(problem: PolicyProblem): string {
  const place = [problem.file, problem.line].filter((part) => part !== undefined).join(':');
  const field = problem.field === '' ? '' : ` ${problem.field}`;
  return `${place === '' ? '' : `${place}: `}${problem.document}${field}: ${problem.message}`;
}

/** A write over REST on documents that only the operator's file may change. */
export class ManagedByFile extends Error {
  override readonly name = 'ManagedByFile';
  /** `Grant/orders`. */
  readonly documents: readonly string[];

  constructor(documents: readonly string[]) {
    const listed = documents.slice(0, 10).join(', ');
    super(`managed by the operator's policy file, so change it there: ${listed}`);
    this.documents = documents;
  }
}
