/** All events that match as lines of JSON, read in batches no faster than they are taken. */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { AuditEvent } from '../../core/audit.ts';
import type { AuditFilter, AuditLog } from '../../core/ports.ts';
import { auditEventBody } from './audit-event-schema.ts';

export const linesType = 'application/x-ndjson';
export const exportBatch = 250;

/**
 * A stream of lines, newest event first. No connection of the database is held between batches, and none is read once
 * the stream is destroyed. Its last line is `{"complete":true,"events":N}`: a transfer that breaks off is told by HTTP/1.1,
 * but not by every proxy before us. Rejects where the first batch cannot be read; the stream fails where a later one cannot.
 */
export async function exportEvents(log: AuditLog, filter: AuditFilter): Promise<Readable> {
  const first = await log.list(filter, { limit: exportBatch });
  return Readable.from(linesOf(log, filter, first));
}

export type SendLines = (reply: Pick<FastifyReply, 'type' | 'raw'>, lines: Readable) => FastifyReply;

/** How exports are sent: one that nobody reads for `stallMillis`, or that is under way when the application closes, is cut short. */
export function createSendLines(app: Pick<FastifyInstance, 'addHook'>, stallMillis: number): SendLines {
  const underWay = new Set<Readable>();
  app.addHook('preClose', async () => {
    for (const lines of underWay) lines.destroy();
  });
  return (reply, lines) => {
    underWay.add(lines);
    lines.once('close', () => underWay.delete(lines));
    reply.raw.setTimeout(stallMillis, () => lines.destroy());
    return reply.type(linesType).send(lines);
  };
}

async function* linesOf(log: AuditLog, filter: AuditFilter, first: readonly AuditEvent[]) {
  let batch = first;
  let events = 0;
  while (batch.length > 0) {
    yield batch.map((event) => `${JSON.stringify(auditEventBody(event))}\n`).join('');
    events += batch.length;
    batch =
      batch.length < exportBatch ? [] : await log.list(filter, { limit: exportBatch, after: batch.at(-1) });
  }
  yield `${JSON.stringify({ complete: true, events })}\n`;
}
