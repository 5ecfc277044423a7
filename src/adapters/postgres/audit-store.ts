/** The audit in SQL: append only, by group commit. */
import { type Kysely, sql } from 'kysely';
import type { AuditEvent } from '../../core/audit.ts';
import { type AuditChains, type ChainLink, openAuditChains, type Seal } from '../../core/audit-chain.ts';
import { OAuthError } from '../../core/error.ts';
import { groupCommit } from '../../core/group-commit.ts';
import type { AuditFilter, AuditLog, AuditPage, AuditSink } from '../../core/ports.ts';
import type { Database, PreparedStatement } from './database.ts';
import { type Tables, timestamp } from './tables.ts';

export interface AuditStore extends AuditSink, AuditLog {
  /** Whether an append failed for what the event holds, while the server is well; takes the cause of the refusal. */
  isEventsFault(error: unknown): boolean;
  /** The chains that this process writes. */
  readonly chains: AuditChains;
  /** Writes those of the events whose request id is not there yet. Rejects with the driver's error. */
  restore(events: readonly AuditEvent[]): Promise<void>;
  /** Calls back with the number of events of each insert that exchanges waited for. */
  onBatch(listener: (events: number) => void): void;
  /** Takes no more events, and resolves once those taken are settled. */
  close(): Promise<void>;
}

/** One parameter for a whole batch: a text array would have each quote of each event escaped, on the way and back. */
const insertEvents: PreparedStatement = {
  name: 'insert_audit_events',
  text: `insert into audit_events (request_id, at, outcome, action, identity, resource, reason, event,
      writer_id, sequence, previous_hash, hash)
    select request_id, at, outcome, action, identity, resource, reason, event::json,
      writer_id, sequence, previous_hash, hash
    from json_to_recordset($1::json) as row (request_id uuid, at timestamptz, outcome text, action text,
      identity text, resource text, reason text, event text,
      writer_id uuid, sequence bigint, previous_hash text, hash text)`,
};

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Appends through `sink` (the exchange's role suffices), finds through `log`. */
export function auditStore(log: Database, sink: Database = log): AuditStore {
  const chains = openAuditChains(isRowsFault);
  let onBatch = (_events: number) => {};
  const commits = groupCommit<Row>({
    write: (rows) => {
      onBatch(rows.length);
      return insert(sink, chains, rows);
    },
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
    list: async (filter, page) => {
      const rows = await eventsQuery(log.kysely, filter, page).execute();
      return rows.map(({ event }) => event);
    },
    isEventsFault: isRowsFault,
    chains,
    restore: (events) => restore(log, sink, chains, events),
    onBatch: (listener) => {
      onBatch = listener;
    },
    close: () => commits.close(),
  };
}

/** Goes on from a position, not from a count of rows, so that the last page costs what the first one does. */
export function eventsQuery(kysely: Kysely<Tables>, filter: AuditFilter, { limit, after }: AuditPage) {
  let query = kysely
    .selectFrom('audit_events')
    .select('event')
    .orderBy('at', 'desc')
    .orderBy('request_id', 'desc')
    .limit(limit);
  for (const column of ['identity', 'resource', 'outcome', 'reason', 'action'] as const) {
    const wanted = filter[column];
    if (wanted !== undefined) query = query.where(column, '=', wanted);
  }
  if (filter.since !== undefined) query = query.where('at', '>=', sql<Date>`${timestamp(filter.since)}`);
  if (filter.until !== undefined) query = query.where('at', '<', sql<Date>`${timestamp(filter.until)}`);
  if (after === undefined) return query;
  return query.where(sql<boolean>`(at, request_id) < (${timestamp(after.at)}, ${after.requestId})`);
}

/** An event as a row of `insertEvents`, in JSON; made on arrival, so that an event that cannot be written fails alone. */
interface Row {
  /** All but its place in a chain, which it gets when it is written. */
  readonly columns: string;
  /** What the chain's hash covers. */
  readonly text: string;
}

function toRow(event: AuditEvent): Row {
  const columns = columnsOf(event);
  return { columns: JSON.stringify(columns), text: columns.event };
}

/** Appends within the caller's transaction, which `chains.write` surrounds. Throws an `OAuthError` `server.audit_unavailable`. */
export async function appendWithin(kysely: Kysely<Tables>, seal: Seal, event: AuditEvent): Promise<void> {
  try {
    const columns = columnsOf(event);
    await kysely
      .insertInto('audit_events')
      .values({ ...columns, ...chainColumns(seal(columns.event)) })
      .execute();
  } catch (cause) {
    throw new OAuthError('server.audit_unavailable', { cause });
  }
}

/** What the columns of an event must be. */
export function columnsOf(event: AuditEvent) {
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

function chainColumns({ writerId, sequence, previousHash, hash }: ChainLink) {
  return { writer_id: writerId, sequence, previous_hash: previousHash, hash };
}

function insert(database: Database, chains: AuditChains, rows: readonly Row[]): Promise<void> {
  return chains.write((seal) => {
    const sealed = rows.map(
      ({ columns, text }) => `${columns.slice(0, -1)},${JSON.stringify(chainColumns(seal(text))).slice(1)}`,
    );
    return database.append(insertEvents, [`[${sealed.join(',')}]`]);
  });
}

/** An event that is there already has its place in a chain, and is left out; only `log` may read which are. */
async function restore(
  log: Database,
  sink: Database,
  chains: AuditChains,
  events: readonly AuditEvent[],
): Promise<void> {
  if (events.length === 0) return;
  try {
    await insert(sink, chains, events.map(toRow));
  } catch (error) {
    if (!isStoredAlready(error)) throw error;
    const ids = events.map(({ requestId }) => requestId);
    const rows = await log.kysely
      .selectFrom('audit_events')
      .select('request_id')
      .where('request_id', 'in', ids)
      .execute();
    const stored = new Set(rows.map((row) => row.request_id));
    const lacking = events.filter(({ requestId }) => !stored.has(requestId.toLowerCase()));
    if (lacking.length === events.length) throw error;
    await restore(log, sink, chains, lacking);
  }
}

/** SQLSTATE 23505, unique_violation: the only key is the request id. */
function isStoredAlready(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '23505';
}

/** SQLSTATE classes 22 (data), 23 (constraint) and 54 (limit): the server is well, the rows are not. */
function isRowsFault(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^(22|23|54)[0-9A-Z]{3}$/.test(code);
}
