/** PGlite: PostgreSQL inside this process, for one machine without a database server. */
import { chmod, mkdir } from 'node:fs/promises';
import { PGlite, type Transaction as PgliteTransaction } from '@electric-sql/pglite';
import { Kysely, PGliteDialect } from 'kysely';
import { type Channel, channels, type Database, policyChannel } from './database.ts';
import type { Tables } from './tables.ts';

export interface PgliteConfig {
  /** A folder of its own; absent: in memory, gone when closed. One process at a time may open it. */
  readonly dataDir?: string;
}

/**
 * Takes 1 to 4 seconds the first time. What has committed outlives the death of this process, but not of the machine:
 * PGlite never calls fsync.
 */
export async function openPgliteDatabase({ dataDir }: PgliteConfig): Promise<Database> {
  if (dataDir !== undefined) {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    // PGlite makes its files readable by everyone; the folder must not let anyone through.
    await chmod(dataDir, 0o700);
  }
  const pglite = await PGlite.create(dataDir ?? 'memory://');
  const listeners = new Set<{ readonly channel: Channel; readonly call: () => void }>();
  for (const channel of channels) {
    await pglite.listen(channel, () => {
      for (const listener of listeners) if (listener.channel === channel) listener.call();
    });
  }
  return {
    kysely: new Kysely<Tables>({ dialect: new PGliteDialect({ pglite }) }),
    transaction: (work) =>
      pglite.transaction((transaction) =>
        work({
          kysely: kyselyWithin(transaction),
          script: async (statements) => {
            await transaction.exec(statements);
          },
        }),
      ),
    append: async ({ text }, values) => {
      await pglite.query(text, [...values]);
    },
    maxAppendsInFlight: 1,
    listen: (call, channel = policyChannel) => {
      const entry = { channel, call };
      listeners.add(entry);
      return () => {
        listeners.delete(entry);
      };
    },
    close: async () => {
      if (!pglite.closed) await pglite.close();
    },
  };
}

/** Kysely on one transaction, so that what runs beside it on the only connection stays outside. */
function kyselyWithin(transaction: PgliteTransaction): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: new PGliteDialect({
      pglite: {
        query: (text, parameters, options) => transaction.query(text, parameters, options),
        transaction: () => Promise.reject(new Error('a transaction cannot start another')),
        ready: true,
        closed: false,
        waitReady: Promise.resolve(),
        close: () => Promise.resolve(),
      },
    }),
  });
}
