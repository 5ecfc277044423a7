/** Other issuers' keys in SQL, for replicas that share no Redis. */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { Clock, KeyCache } from '../../core/ports.ts';
import type { Database } from './database.ts';
import { timestamp } from './tables.ts';

/** Each put also deletes what has expired: entries are few, one for each source of keys that there ever was. */
export function keyCache({ kysely }: Database, clock: Clock): KeyCache {
  // Hashed: a name comes out of a policy document and may be of any length.
  const hashOf = (name: string) => createHash('sha256').update(name).digest();
  return {
    get: async (name) => {
      const row = await kysely
        .selectFrom('key_cache')
        .select(['value', 'expires_at'])
        .where('name_hash', '=', hashOf(name))
        .executeTakeFirst();
      return row !== undefined && row.expires_at.getTime() > clock.now() ? row.value : undefined;
    },
    put: async (name, value, ttlSeconds) => {
      const expiresAt = timestamp(clock.now() + ttlSeconds * 1000);
      await sql`delete from key_cache where expires_at < ${timestamp(clock.now())}::timestamptz`.execute(
        kysely,
      );
      await kysely
        .insertInto('key_cache')
        .values({ name_hash: hashOf(name), value, expires_at: expiresAt })
        .onConflict((conflict) => conflict.column('name_hash').doUpdateSet({ value, expires_at: expiresAt }))
        .execute();
    },
  };
}
