/** One-time credentials in SQL, for installations without Redis. */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { OAuthError } from '../../core/error.ts';
import type { Clock, ReplayGuard } from '../../core/ports.ts';
import type { Database } from './database.ts';
import { timestamp } from './tables.ts';

const sweepEveryMillis = 60_000;
/** Rows stay this long past their expiry, so that a replica whose clock is slow still finds them. */
const sweepGraceMillis = 300_000;
const sweepLimit = 10_000;

/** Also deletes expired rows, at most once a minute, beside a claim and never in its way. */
export function replayGuard(database: Database, clock: Clock): ReplayGuard {
  let nextSweepAt = clock.now() + sweepEveryMillis;

  const sweep = async (nowMillis: number) => {
    nextSweepAt = nowMillis + sweepEveryMillis;
    await sql`
      delete from replay_claims where key_hash in (
        select key_hash from replay_claims where expires_at < ${timestamp(nowMillis - sweepGraceMillis)}::timestamptz
        limit ${sweepLimit}::int)`.execute(database.kysely);
  };

  return {
    claim: async (key, expiresAt) => {
      const nowMillis = clock.now();
      // Past its end nobody may use the credential; a row for it would be swept, and then claimed twice.
      if (!(expiresAt > nowMillis)) return false;
      const hash = createHash('sha256').update(key).digest();
      try {
        const { rows } = await sql`
          insert into replay_claims as claim (key_hash, expires_at) values (${hash}, ${timestamp(expiresAt)})
          on conflict (key_hash) do update set expires_at = excluded.expires_at
          where claim.expires_at <= ${timestamp(nowMillis)}::timestamptz
          returning 1`.execute(database.kysely);
        if (nowMillis >= nextSweepAt) void sweep(nowMillis).catch(() => {});
        return rows.length > 0;
      } catch (cause) {
        throw new OAuthError('server.replay_guard_unavailable', { cause });
      }
    },
  };
}
