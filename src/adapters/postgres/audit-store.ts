/** The audit in SQL: append only, by group commit. */
import type { AuditEvent } from '../../core/audit.ts';
import { OAuthError } from '../../core/error.ts';
import type { AuditLog, AuditSink } from '../../core/ports.ts';
import type { Database, PreparedStatement } from './database.ts';
import { groupCommit } from './group-commit.ts';
import { timestamp } from './tables.ts';

export interface AuditStore extends AuditSink, AuditLog {
  /** Takes no more events, and resolves once those taken are settled. */
  close(): Promise<void>;
}

const insertEvents: PreparedStatement = {
  name: 'insert_audit_events',
  text: `insert into audit_events (request_id, at, outcome, action, identity, resource, reason, event)
    select request_id::uuid, at::timestamptz, outcome, action, identity, resource, reason, event::json
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
      as row (request_id, at, outcome, action, identity, resource, reason, event)`,
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
    close: () => commits.close(),
  };
}

/** An event as the columns of `insertEvents`; made on arrival, so that an event that cannot be written fails alone. */
type Row = readonly [string, string, string, string, string | null, string | null, string | null, string];

function toRow(event: AuditEvent): Row {
  return [
    event.requestId,
    timestamp(event.at),
    event.outcome,
    event.action,
    toText(event.identity),
    toText(event.resource),
    toText(event.reason),
    JSON.stringify(event),
  ];
}

/** PostgreSQL's text cannot hold U+0000; the event itself keeps it. */
function toText(value: string | undefined): string | null {
  return value?.replaceAll('\0', '\u{fffd}') ?? null;
}

async function insert(database: Database, rows: readonly Row[]): Promise<void> {
  const column = (index: keyof Row & number) => rows.map((row) => row[index] ?? null);
  await database.append(insertEvents, [0, 1, 2, 3, 4, 5, 6, 7].map(column));
}

/** SQLSTATE classes 22 (data), 23 (constraint) and 54 (limit): the server is well, the rows are not. */
function isRowsFault(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^(22|23|54)[0-9A-Z]{3}$/.test(code);
}
