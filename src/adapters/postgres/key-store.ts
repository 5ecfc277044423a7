/** Signing keys in SQL, their private halves already encrypted. */
import type { KeyStore, StoredKey } from '../../core/ports.ts';
import type { Database } from './database.ts';
import { timestamp } from './tables.ts';

export function keyStore(database: Database): KeyStore {
  const list = async (): Promise<readonly StoredKey[]> => {
    const rows = await database.kysely
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
    }));
  };
  return {
    list,
    addIfNoneActive: async (key) => {
      // A second writer waits on the index for the first one's commit, then conflicts and reads its key.
      await database.kysely
        .insertInto('signing_keys')
        .values({
          kid: key.kid,
          algorithm: key.algorithm,
          state: 'active',
          public_jwk: JSON.stringify(key.publicJwk),
          wrapped_private_key: key.wrappedPrivateKey,
          created_at: timestamp(key.createdAt),
        })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      const active = (await list()).find(({ state }) => state === 'active');
      if (active === undefined) throw new Error(`key ${key.kid} is stored already, and no key is active`);
      return active;
    },
  };
}
