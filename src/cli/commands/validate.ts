/** `mintmark validate`: checks policy files as the server would, without one. */
import { describeProblem } from '../../core/policy/refused.ts';
import { compilePolicyFiles, type PolicyFilesOptions } from '../compile-policy-files.ts';
import type { CliDependencies } from '../dependencies.ts';
import { type ExitCode, exitCodes } from '../exit.ts';
import { plain } from '../paint.ts';

export interface ValidateOptions extends PolicyFilesOptions {
  readonly json?: boolean;
}

/** Exit code 0 where the files are a whole policy that the server would take, and its tests can be run. */
export async function validate(dependencies: CliDependencies, options: ValidateOptions): Promise<ExitCode> {
  const { out, err } = dependencies;
  const { policy, tests } = await compilePolicyFiles(dependencies, options);
  const { documents, warnings } = policy;
  if (options.json) {
    const counts = { documents: documents.length, tests: tests.length };
    out.write(`${JSON.stringify({ valid: true, ...counts, warnings })}\n`);
    return exitCodes.done;
  }
  for (const warning of warnings) err.write(`warning: ${plain(describeProblem(warning))}\n`);
  const also = tests.length === 0 ? '' : ` and ${count(tests.length, 'policy test')}`;
  out.write(`${count(documents.length, 'document')}${also}: valid\n`);
  return exitCodes.done;
}

function count(number: number, noun: string): string {
  return number === 1 ? `1 ${noun}` : `${number} ${noun}s`;
}
