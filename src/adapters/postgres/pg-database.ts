/** PostgreSQL through node-postgres: bounded waits everywhere, and no way for a dead server to end this process. */
import {
  Kysely,
  type PostgresCursor,
  PostgresDialect,
  type PostgresPool,
  type PostgresQueryResult,
  sql,
} from 'kysely';
import pg from 'pg';
import type { Database, OnBackgroundError } from './database.ts';
import { listenWithReconnect } from './pg-listener.ts';
import type { Tables } from './tables.ts';

export interface PgConfig {
  /** `postgres://user:password@host/database?sslmode=…` */
  readonly url: string;
  readonly maxConnections?: number;
  /** How long one statement may take; default 5 seconds, as long as an exchange can wait. */
  readonly statementTimeoutMillis?: number;
  readonly onBackgroundError?: OnBackgroundError;
}

const appendConnections = 2;

/** Opens pools; connects when first used, and again whenever the server comes back. */
export function openPgDatabase(config: PgConfig): Database {
  const { url, maxConnections = 8, statementTimeoutMillis = 5_000 } = config;
  const onError = config.onBackgroundError ?? (() => {});
  const pool = openPool(url, maxConnections, statementTimeoutMillis, onError);
  // Audit has connections of its own: whatever else is slow must not hold it back.
  const appendPool = openPool(url, appendConnections, statementTimeoutMillis, onError);
  const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: discardBroken(pool) }) });
  const listener = listenWithReconnect(url, onError);
  return {
    kysely,
    transaction: (work) =>
      kysely.transaction().execute((trx) =>
        work({
          kysely: trx,
          script: async (statements) => {
            await sql.raw(statements).execute(trx);
          },
        }),
      ),
    append: async ({ name, text }, values) => {
      await appendPool.query({ name, text, values: [...values] });
    },
    maxAppendsInFlight: appendConnections,
    listen: listener.listen,
    close: async () => {
      listener.close();
      await Promise.all([kysely.destroy(), appendPool.end()]);
    },
  };
}

function openPool(url: string, max: number, timeoutMillis: number, onError: OnBackgroundError): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max,
    application_name: 'mintmark',
    connectionTimeoutMillis: 5_000,
    statement_timeout: timeoutMillis,
    // The server's own timeout cannot help when the server is gone: give up on this side too.
    query_timeout: timeoutMillis + 1_000,
    idle_in_transaction_session_timeout: 60_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    onConnect: async (client) => {
      // A client that is checked out between two statements emits its errors here and nowhere else.
      client.on('error', onError);
      // A commit must be on disk before it counts; a stricter level of the operator's stays.
      await client.query(
        `select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'`,
      );
    },
  });
  pool.on('error', onError);
  return pool;
}

/**
 * Kysely gives connections back whole whatever happened on them. One on which anything but an answer of the server's
 * went wrong (a timeout on a half-open socket, say) is closed here, or the next caller would wait on it in turn.
 */
function discardBroken(pool: pg.Pool): PostgresPool {
  return {
    connect: async () => {
      const client = await pool.connect();
      let broken = false;
      function query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>;
      function query<R>(text: string, values: readonly unknown[]): Promise<PostgresQueryResult<R>>;
      function query(text: unknown, values: readonly unknown[] = []): unknown {
        if (typeof text !== 'string') throw new Error('cursors are not used here');
        return client.query(text, [...values]).catch((error: unknown) => {
          broken ||= !(error instanceof pg.DatabaseError);
          throw error;
        });
      }
      return { query, release: () => client.release(broken) };
    },
    end: () => pool.end(),
    options: pool.options,
  };
}
