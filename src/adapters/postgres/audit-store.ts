/** The audit in SQL: append only, by group commit. */
import type { Kysely } from 'kysely';
import type { AuditEvent } from '../../core/audit.ts';
import { OAuthError } from '../../core/error.ts';
import { groupCommit } from '../../core/group-commit.ts';
import type { AuditLog, AuditSink } from '../../core/ports.ts';
import type { Database, PreparedStatement } from './database.ts';
import { type Tables, timestamp } from './tables.ts';

export interface AuditStore extends AuditSink, AuditLog {
  /** Whether an append failed for what the event holds, while the server is well; takes the cause of the refusal. */
  isEventsFault(error: unknown): boolean;
  /** Writes those of the events whose request id is not there yet, in one statement. Rejects with the driver's error. */
  restore(events: readonly AuditEvent[]): Promise<void>;
  /** Takes no more events, and resolves once those taken are settled. */
  close(): Promise<void>;
}

/** One parameter for a whole batch: a text array would have each quote of each event escaped, on the way and back. */
const insertEvents: PreparedStatement = {
  name: 'insert_audit_events',
  text: `insert into audit_events (request_id, at, outcome, action, identity, resource, reason, event)
    select request_id, at, outcome, action, identity, resource, reason, event::json
    from json_to_recordset($1::json) as row (request_id uuid, at timestamptz, outcome text, action text,
      identity text, resource text, reason text, event text)`,
};

/** No conflict target: it would take the right to read, which the exchange's role lacks. */
const restoreEvents: PreparedStatement = {
  name: 'restore_audit_events',
  text: `${insertEvents.text} on conflict do nothing`,
};

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Appends through `sink` (the exchange's role suffices), finds through `log`. */
export function auditStore(log: Database, sink: Database = log): AuditStore {
  const commits = groupCommit<Row>({
    write: (rows) => insert(sink, rows),
    isItemsFault: isRowsFault,
    maxBatch: 500,
    maxInFlight: sink.maxAppendsInFlight,
    maxQueued: 10_000,
    overloaded: () =>
      new OAuthError('server.overloaded', { detail: 'too many audit events wait to be written' }),
    closed: () => new OAuthError('server.draining'),
  });
  return {
    append: async (event) => {
      try {
        await commits.add(toRow(event));
      } catch (cause) {
        if (cause instanceof OAuthError) throw cause;
        throw new OAuthError('server.audit_unavailable', { cause });
      }
    },
    find: async (requestId) => {
      if (!uuidPattern.test(requestId)) return undefined;
      const row = await log.kysely
        .selectFrom('audit_events')
        .select('event')
        .where('request_id', '=', requestId)
        .executeTakeFirst();
      return row?.event;
    },
    isEventsFault: isRowsFault,
    restore: (events) => sink.append(restoreEvents, [`[${events.map(toRow).join(',')}]`]),
    close: () => commits.close(),
  };
}

/** An event as a row of `insertEvents`, in JSON; made on arrival, so that an event that cannot be written fails alone. */
type Row = string;

function toRow(event: AuditEvent): Row {
  return JSON.stringify(columnsOf(event));
}

/** Appends within the caller's transaction. Throws an `OAuthError` `server.audit_unavailable`. */
export async function appendWithin(kysely: Kysely<Tables>, event: AuditEvent): Promise<void> {
  try {
    await kysely.insertInto('audit_events').values(columnsOf(event)).execute();
  } catch (cause) {
    throw new OAuthError('server.audit_unavailable', { cause });
  }
}

function columnsOf(event: AuditEvent) {
  return {
    request_id: event.requestId,
    at: timestamp(event.at),
    outcome: event.outcome,
    action: event.action,
    identity: toText(event.identity),
    resource: toText(event.resource),
    reason: toText(event.reason),
    event: JSON.stringify(event), // as text, which PostgreSQL then keeps letter by letter
  };
}

/** PostgreSQL's text can hold neither U+0000 nor half a surrogate pair; the event itself keeps them. */
function toText(value: string | undefined): string | null {
  return value?.toWellFormed().replaceAll('\0', '\u{fffd}') ?? null;
}

async function insert(database: Database, rows: readonly Row[]): Promise<void> {
  await database.append(insertEvents, [`[${rows.join(',')}]`]);
}

/** SQLSTATE classes 22 (data), 23 (constraint) and 54 (limit): the server is well, the rows are not. */
function isRowsFault(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^(22|23|54)[0-9A-Z]{3}$/.test(code);
}
