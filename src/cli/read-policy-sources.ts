/** Reads the files that `-f` names. */

import { describeProblem, PolicyRefused } from '../core/policy/refused.ts';
import type { PolicySource } from '../core/policy/source.ts';
import type { CliDependencies } from './dependencies.ts';
import { CommandFailure } from './exit.ts';

/** The documents of all paths, in order, without PolicyTests. Throws `CommandFailure` with a line for each thing that cannot be read. */
export function readPolicySources(
  { readPolicyPath }: CliDependencies,
  paths: readonly string[],
): Promise<readonly PolicySource[]> {
  return readAll(readPolicyPath, paths);
}

/** The PolicyTest documents of all paths, in order. Throws as above. */
export function readTestSources(
  { readPolicyTestsPath }: CliDependencies,
  paths: readonly string[],
): Promise<readonly PolicySource[]> {
  return readAll(readPolicyTestsPath, paths);
}

async function readAll(
  read: (path: string) => Promise<readonly PolicySource[]>,
  paths: readonly string[],
): Promise<readonly PolicySource[]> {
  try {
    const lists = await Promise.all(paths.map((path) => read(path)));
    return lists.flat();
  } catch (error) {
    throw error instanceof PolicyRefused ? policyFailure(error) : error;
  }
}

/** `file:line: Document field: message`, a line a problem. */
export function policyFailure({ problems }: PolicyRefused): CommandFailure {
  return new CommandFailure(problems.map(describeProblem).join('\n'), { body: { problems } });
}
