/** `mintmark why`: the whole reason behind the `request_id` of an answer. */
import { openAdminClient, ServerRefused } from '../admin-client.ts';
import type { CliDependencies } from '../dependencies.ts';
import { CommandFailure, type ExitCode, exitCodes } from '../exit.ts';
import { explainProblem } from '../explain-problem.ts';
import { createPaint, plainJson } from '../paint.ts';
import { eventSchema, printEvent } from '../print-event.ts';

/** Exit code 1 where there is no such event. */
export async function why(
  dependencies: CliDependencies,
  requestId: string,
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const { out, environment } = dependencies;
  const client = await openAdminClient(dependencies);
  const found = await client.getAuditEvent(requestId).catch((error) => {
    if (!(error instanceof ServerRefused)) throw error;
    throw new CommandFailure(explainProblem(error.problem), { body: error.problem });
  });
  if (options.json) {
    out.write(`${plainJson(found)}\n`);
    return exitCodes.done;
  }
  const event = eventSchema.safeParse(found);
  if (!event.success) {
    throw new CommandFailure('The event is not one that this version of mintmark understands: try --json.');
  }
  out.write(printEvent(event.data, createPaint(out.isTerminal, environment)));
  return exitCodes.done;
}
