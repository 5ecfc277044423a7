/** The whole audit as it is stored, for whoever proves its chains. */
import { type Kysely, sql } from 'kysely';
import type { AuditEvent } from '../../core/audit.ts';
import type { StoredEvent } from '../../core/audit-verify.ts';
import { columnsOf } from './audit-store.ts';
import type { Database } from './database.ts';
import { type Tables, timestamp } from './tables.ts';

export interface AuditWindow {
  /** Milliseconds since the epoch: not before the one, and before the other. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

const pageSize = 2_000;

/**
 * One moment's events, in pages: of a window, each chain that has an event in it, whole, and the events of no chain.
 * `read` gets them while the moment lasts.
 */
export function readAudit<T>(
  database: Database,
  window: AuditWindow,
  read: (events: AsyncIterable<StoredEvent>) => Promise<T>,
): Promise<T> {
  return database.transaction(async ({ kysely, script }) => {
    await script('set transaction isolation level repeatable read, read only');
    return await read(pages(kysely, window));
  });
}

async function* pages(kysely: Kysely<Tables>, { since, until }: AuditWindow): AsyncGenerator<StoredEvent> {
  const from = since === undefined ? sql`true` : sql`at >= ${timestamp(since)}`;
  const to = until === undefined ? sql`true` : sql`at < ${timestamp(until)}`;
  const isWhole = since === undefined && until === undefined;
  const inWindow = isWhole
    ? sql`true`
    : sql`((${from} and ${to}) or writer_id in (select writer_id from audit_events where ${from} and ${to}))`;
  let after = sql`true`;
  for (;;) {
    const { rows } = await sql<Row>`
      select request_id, at, outcome, action, identity, resource, reason, event::text as event,
        writer_id, sequence, previous_hash, hash
      from audit_events where ${inWindow} and ${after}
      order by at, request_id limit ${pageSize}`.execute(kysely);
    for (const row of rows) yield toStored(row);
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageSize) return;
    after = sql`(at, request_id) > (${timestamp(last.at.getTime())}, ${last.request_id})`;
  }
}

interface Row {
  readonly request_id: string;
  readonly at: Date;
  readonly outcome: string;
  readonly action: string;
  readonly identity: string | null;
  readonly resource: string | null;
  readonly reason: string | null;
  readonly event: string;
  readonly writer_id: string | null;
  readonly sequence: string | number | null;
  readonly previous_hash: string | null;
  readonly hash: string | null;
}

function toStored(row: Row): StoredEvent {
  const { request_id: requestId, at, event: text, writer_id: writerId, hash } = row;
  const event: AuditEvent = JSON.parse(text) ?? {}; // what it must be is asked below
  return {
    requestId,
    at: at.getTime(),
    text,
    action: event.action,
    checkpoint: typeof event.checkpoint === 'string' ? event.checkpoint : undefined,
    isConsistent: isConsistent(row, event),
    link:
      writerId === null
        ? undefined
        : {
            writerId,
            sequence: Number(row.sequence ?? 0),
            previousHash: row.previous_hash ?? '',
            hash: hash ?? '',
          },
  };
}

/** Lists are filtered by the columns: they must say what the event says. */
function isConsistent(row: Row, event: AuditEvent): boolean {
  try {
    const { event: _, at, request_id: requestId, ...expected } = columnsOf(event);
    if (requestId.toLowerCase() !== row.request_id || timestamp(row.at.getTime()) !== at) return false;
    return Object.entries(expected).every(([name, value]) => row[name as keyof typeof expected] === value);
  } catch {
    return false; // what was put in its place is no event
  }
}
