/** What `probe` and `doctor` found: a line a check, and what to do about each that failed. */
import { type Paint, plain } from './paint.ts';

export interface CheckResult {
  readonly check: string;
  readonly passed: boolean;
  /** What was seen. Never a token, a key or a password. */
  readonly detail: string;
  /** What to do, where it failed. */
  readonly advice?: string;
}

/** Ends with a newline. */
export function printChecks(results: readonly CheckResult[], paint: Paint): string {
  const lines = results.flatMap(({ check, passed, detail, advice }) => [
    `${passed ? paint('green', '✓') : paint('red', '✗')} ${plain(`${check}: ${detail}`)}`,
    ...(passed || advice === undefined ? [] : [`    ${plain(advice)}`]),
  ]);
  const failed = results.filter(({ passed }) => !passed).length;
  return `${[...lines, paint('bold', `${results.length - failed} passed, ${failed} failed`)].join('\n')}\n`;
}

/** One object, for `--json`. */
export function checksReport(results: readonly CheckResult[]) {
  const failed = results.filter(({ passed }) => !passed).length;
  return { passed: results.length - failed, failed, checks: results };
}
