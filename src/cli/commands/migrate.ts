/** `mintmark migrate`: brings the schema of `DATABASE_URL`, or of the embedded store, up to date. */
import type { CliDependencies } from '../dependencies.ts';
import { type ExitCode, exitCodes } from '../exit.ts';

export async function migrate(
  { migrate: runMigrations, out }: CliDependencies,
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const applied = await runMigrations();
  if (options.json) out.write(`${JSON.stringify({ applied })}\n`);
  else if (applied.length === 0) out.write('the schema is up to date\n');
  else out.write(applied.map((name) => `applied ${name}\n`).join(''));
  return exitCodes.done;
}
