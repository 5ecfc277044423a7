/** Signing keys in SQL, their private halves already encrypted. */
import { type Kysely, sql } from 'kysely';
import type { KeyStore, StoredKey } from '../../core/ports.ts';
import type { Database } from './database.ts';
import { type Tables, timestamp } from './tables.ts';

export function keyStore(database: Database): KeyStore {
  return {
    list: () => list(database.kysely),
    change: (plan) =>
      database.transaction(async ({ kysely }) => {
        await sql`select pg_advisory_xact_lock(hashtextextended('mintmark.keys', 0))`.execute(kysely);
        const before = await list(kysely);
        await write(kysely, before, plan(before));
        return await list(kysely);
      }),
  };
}

async function list(kysely: Kysely<Tables>): Promise<readonly StoredKey[]> {
  const rows = await kysely
    .selectFrom('signing_keys')
    .selectAll()
    .orderBy('created_at')
    .orderBy('kid')
    .execute();
  return rows.map((row) => ({
    kid: row.kid,
    algorithm: row.algorithm,
    state: row.state,
    publicJwk: row.public_jwk,
    wrappedPrivateKey: new Uint8Array(row.wrapped_private_key),
    createdAt: row.created_at.getTime(),
    activatesAt: (row.activates_at ?? row.created_at).getTime(), // null: written by the former version
  }));
}

/** Demotes before it promotes: at no statement may an algorithm have two active keys. */
async function write(
  kysely: Kysely<Tables>,
  before: readonly StoredKey[],
  after: readonly StoredKey[],
): Promise<void> {
  const gone = before.filter(({ kid }) => !after.some((key) => key.kid === kid));
  for (const { kid } of gone) await kysely.deleteFrom('signing_keys').where('kid', '=', kid).execute();
  const inactiveFirst = after.toSorted(
    (one, other) => Number(one.state === 'active') - Number(other.state === 'active'),
  );
  for (const key of inactiveFirst) {
    const activates_at = timestamp(key.activatesAt);
    const wrapped_private_key = key.wrappedPrivateKey;
    await kysely
      .insertInto('signing_keys')
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
