/** Signing keys in SQL, a table for each format of tokens, their private halves already encrypted. */
import { type Kysely, sql } from 'kysely';
import type { Clock, KeyStore, StoredKey } from '../../core/ports.ts';
import type { KeyedFormat } from '../../core/token-format.ts';
import type { Database } from './database.ts';
import { type Tables, timestamp } from './tables.ts';

const tables = { access_token: 'signing_keys', 'jwt-svid': 'jwt_svid_keys' } as const;
type KeyTable = (typeof tables)[KeyedFormat];

export function keyStore(database: Database, format: KeyedFormat, clock: Clock): KeyStore {
  const table = tables[format];
  return {
    list: () => list(database.kysely, table),
    change: (plan) =>
      database.transaction(async ({ kysely }) => {
        await sql`select pg_advisory_xact_lock(hashtextextended('mintmark.keys', 0))`.execute(kysely);
        const before = await list(kysely, table);
        const after = plan(before);
        await write(kysely, table, before, after);
        if (table === 'jwt_svid_keys') await count(kysely, before, after, clock.now());
        return await list(kysely, table);
      }),
  };
}

async function list(kysely: Kysely<Tables>, table: KeyTable): Promise<readonly StoredKey[]> {
  const rows = await kysely.selectFrom(table).selectAll().orderBy('created_at').orderBy('kid').execute();
  return rows.map((row) => ({
    kid: row.kid,
    algorithm: row.algorithm,
    state: row.state,
    publicJwk: row.public_jwk,
    wrappedPrivateKey: new Uint8Array(row.wrapped_private_key),
    createdAt: row.created_at.getTime(),
    activatesAt: (row.activates_at ?? row.created_at).getTime(), // null: written by the former version
    ...(table === 'jwt_svid_keys' ? { sequence: Number(row.sequence) } : {}),
  }));
}

/** Demotes before it promotes: at no statement may an algorithm have two active keys. */
async function write(
  kysely: Kysely<Tables>,
  table: KeyTable,
  before: readonly StoredKey[],
  after: readonly StoredKey[],
): Promise<void> {
  const gone = before.filter(({ kid }) => !after.some((key) => key.kid === kid));
  for (const { kid } of gone) await kysely.deleteFrom(table).where('kid', '=', kid).execute();
  const inactiveFirst = after.toSorted(
    (one, other) => Number(one.state === 'active') - Number(other.state === 'active'),
  );
  for (const key of inactiveFirst) {
    const activates_at = timestamp(key.activatesAt);
    const wrapped_private_key = key.wrappedPrivateKey;
    await kysely
      .insertInto(table)
      .values({
        kid: key.kid,
        algorithm: key.algorithm,
        state: key.state,
        public_jwk: JSON.stringify(key.publicJwk),
        wrapped_private_key,
        created_at: timestamp(key.createdAt),
        activates_at,
      })
      .onConflict((conflict) =>
        conflict.column('kid').doUpdateSet({ state: key.state, activates_at, wrapped_private_key }),
      )
      .execute();
  }
}

/**
 * Numbers the set anew where a key came or went. By the time of that, so that a database which lost them all goes on above
 * what it had reached; by one where clocks disagree.
 */
async function count(
  kysely: Kysely<Tables>,
  before: readonly StoredKey[],
  after: readonly StoredKey[],
  nowMillis: number,
): Promise<void> {
  const kids = new Set(before.map(({ kid }) => kid));
  if (after.length === kids.size && after.every(({ kid }) => kids.has(kid))) return;
  const reached = Math.max(0, ...before.map(({ sequence = 0 }) => sequence));
  const sequence = Math.max(reached + 1, nowMillis);
  await kysely.updateTable('jwt_svid_keys').set({ sequence }).execute();
}
