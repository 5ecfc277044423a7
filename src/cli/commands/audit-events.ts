/** `mintmark audit events`: what happened of late, to find the request id that `mintmark why` opens. */
import { z } from 'zod';
import { openAdminClient, ServerRefused } from '../admin-client.ts';
import type { CliDependencies } from '../dependencies.ts';
import { CommandFailure, type ExitCode, exitCodes } from '../exit.ts';
import { explainProblem } from '../explain-problem.ts';
import { createPaint, plainJson } from '../paint.ts';
import { eventSchema } from '../print-event.ts';
import { printEventLine } from '../print-event-line.ts';

export interface AuditEventsOptions {
  readonly identity?: string;
  readonly outcome?: string;
  readonly since?: string;
  readonly limit?: string;
  readonly json?: boolean;
}

const pageSchema = z.object({ events: z.array(eventSchema), next_cursor: z.string().optional() });

/** One page, the newest first. */
export async function auditEvents(
  dependencies: CliDependencies,
  { identity, outcome, since, limit, json }: AuditEventsOptions,
): Promise<ExitCode> {
  const { out, err, environment } = dependencies;
  const client = await openAdminClient(dependencies);
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ identity, outcome, since, limit })) {
    if (value !== undefined) query.set(name, value);
  }
  const found = await client.listAuditEvents(query).catch((error) => {
    if (!(error instanceof ServerRefused)) throw error;
    throw new CommandFailure(explainProblem(error.problem), { body: error.problem });
  });
  if (json) {
    out.write(`${plainJson(found)}\n`);
    return exitCodes.done;
  }
  const page = pageSchema.safeParse(found);
  if (!page.success) {
    throw new CommandFailure('The events are not such as this version of mintmark understands: try --json.');
  }
  const paint = createPaint(out.isTerminal, environment);
  out.write(page.data.events.map((event) => printEventLine(event, paint)).join(''));
  if (page.data.events.length === 0) err.write('nothing matches\n');
  if (page.data.next_cursor !== undefined) {
    err.write('older events match too: ask for more by --limit (200 at most), or for fewer\n');
  }
  return exitCodes.done;
}
