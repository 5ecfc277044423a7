/** `mintmark doctor`: examines the environment that a server is to run in. */
import { checksReport, printChecks } from '../check-report.ts';
import type { CliDependencies } from '../dependencies.ts';
import { type ExitCode, exitCodes } from '../exit.ts';
import { createPaint, plainJson } from '../paint.ts';

/** Exit code 0 where every check passed, else 1. */
export async function doctor(
  { out, environment, examine }: CliDependencies,
  { json }: { readonly json?: boolean },
): Promise<ExitCode> {
  const checks = await examine();
  if (json) out.write(`${plainJson(checksReport(checks))}\n`);
  else out.write(printChecks(checks, createPaint(out.isTerminal, environment)));
  return checks.every(({ passed }) => passed) ? exitCodes.done : exitCodes.refused;
}
