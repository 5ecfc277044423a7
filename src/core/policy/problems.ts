/** Collects everything that is wrong with a policy, so that its author mends it in one go. */

import { type PolicyProblem, PolicyRefused } from './refused.ts';
import { describeField, documentLabel, type FieldPath, type PolicySource } from './source.ts';

const maxProblems = 200;

export interface Problems {
  add(source: PolicySource, path: FieldPath, message: string): void;
  /** What its author should know, though the policy is taken. */
  warn(source: PolicySource, path: FieldPath, message: string): void;
  warnings(): readonly PolicyProblem[];
  /** Throws PolicyRefused with every problem that was added, if any was. */
  throwIfAny(): void;
}

export function collectProblems(): Problems {
  const problems: PolicyProblem[] = [];
  const warnings: PolicyProblem[] = [];
  let count = 0;
  return {
    add(source, path, message) {
      count += 1;
      if (problems.length < maxProblems) problems.push(problemAt(source, path, message));
    },
    warn(source, path, message) {
      if (warnings.length < maxProblems) warnings.push(problemAt(source, path, message));
    },
    warnings: () => warnings,
    throwIfAny() {
      if (count === 0) return;
      const unlisted = count - problems.length;
      if (unlisted > 0) {
        problems.push({ document: 'policy', field: '', message: `${unlisted} more problems are not listed` });
      }
      throw new PolicyRefused(problems);
    },
  };
}

function problemAt(source: PolicySource, path: FieldPath, message: string): PolicyProblem {
  const document = documentLabel(source.value);
  return { document, field: describeField(path), ...source.locate(path), message };
}

/** Where a document stands, for a message that names it: `issuer "a" (policy.yaml:12)`. */
export function placeOf(source: PolicySource, path: FieldPath): string {
  const { file, line } = source.locate(path);
  const place = [file, line === undefined ? undefined : file === undefined ? `line ${line}` : line]
    .filter((part) => part !== undefined)
    .join(':');
  return place === '' ? documentLabel(source.value) : `${documentLabel(source.value)} (${place})`;
}
