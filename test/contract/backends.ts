/** The backends that a contract suite runs on, each made fresh. */
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, inject } from 'vitest';
import type { Database } from '../../src/adapters/postgres/database.ts';
import { type SqlStores, sqlStores } from '../../src/adapters/postgres/open.ts';
import { openPgDatabase } from '../../src/adapters/postgres/pg-database.ts';
import { openPgliteDatabase } from '../../src/adapters/postgres/pglite-database.ts';
import type { AuditEvent } from '../../src/core/audit.ts';
import { createDatabase } from '../support/postgres-client.ts';

/** A clock that stands still until it is moved. */
export function testClock(startMillis = Date.UTC(2026, 0, 1)) {
  let nowMillis = startMillis;
  return {
    now: () => nowMillis,
    advance: (millis: number) => {
      nowMillis += millis;
    },
  };
}

type TestClock = ReturnType<typeof testClock>;

export interface SqlBackend {
  database: Database;
  stores: SqlStores;
  clock: TestClock;
  /** Another replica on the same database; on PGlite, which one process holds, the same stores. */
  replica(): SqlStores;
}

const sqlDatabases = {
  PostgreSQL: async () => {
    const url = await createDatabase(inject('postgresUrl'));
    // As long as the product gives a change of policy; under load 5 s are too few for 100,000 grants.
    return { open: () => openPgDatabase({ url, statementTimeoutMillis: 30_000 }), isShared: true };
  },
  PGlite: async () => {
    const database = await openPgliteDatabase({});
    return { open: () => database, isShared: false };
  },
};

/** Declares the suite once for PostgreSQL and once for PGlite; each test finds an empty, migrated schema. */
export function describeSql(port: string, declare: (backend: SqlBackend, name: string) => void): void {
  describe.each(Object.entries(sqlDatabases))(`${port} on %s`, (name, prepare) => {
    const backend = {} as SqlBackend;
    const replicas: Database[] = [];
    beforeAll(async () => {
      const { open, isShared } = await prepare();
      const clock = testClock();
      const database = open();
      const stores = sqlStores(database, database, clock);
      const replica = () => {
        if (!isShared) return stores;
        const another = open();
        replicas.push(another);
        return sqlStores(another, another, clock);
      };
      Object.assign(backend, { database, stores, clock, replica });
    });
    beforeEach(async () => {
      await backend.database.transaction(({ script }) =>
        script('set local client_min_messages = warning; drop schema public cascade; create schema public'),
      );
      await backend.stores.migrate();
    });
    afterAll(async () => {
      await Promise.all(replicas.map((replica) => replica.close()));
      await backend.stores.close();
    });
    declare(backend, name);
  });
}

/** The event of a policy change. */
export function policyEvent(at: number): AuditEvent {
  const action = 'admin.policy.replace';
  return { requestId: randomUUID(), at, outcome: 'permitted', action, remoteAddress: '192.0.2.1' };
}

/** Rows of a statement of the test's own. */
export async function select<T>(database: Database, statement: string): Promise<readonly T[]> {
  return (await sql.raw<T>(statement).execute(database.kysely)).rows;
}
