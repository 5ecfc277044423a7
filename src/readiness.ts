/** What a replica cannot do without, and what it bears. */

import type { SqlStores } from './adapters/postgres/open.ts';
import type { RedisStores } from './adapters/redis/open.ts';
import type { Spool } from './adapters/spool/open.ts';
import type { Clock } from './core/ports.ts';
import type { RevocationBook } from './core/revocation-book.ts';
import type { ReadinessCheck } from './http/dependencies.ts';

/** After so long without reading them a replica says that it may have missed some. */
const revocationsStaleMillis = 30_000;

/** What this replica cannot do without, and what it bears: an exchange needs neither store while the audit has its spool. */
export function readinessOf(
  stores: SqlStores,
  redis: RedisStores | undefined,
  spool: Spool | undefined,
): readonly ReadinessCheck[] {
  const database = { name: 'database', run: () => stores.ping(), isEssential: spool === undefined };
  return [
    database,
    ...(redis ? [{ name: 'redis', run: () => redis.ping(), isEssential: false }] : []),
    ...(spool ? [{ name: 'audit_spool', run: () => spool.ping(), isEssential: true }] : []),
  ];
}

/** Degraded, not refusing: what is known stays in force, and exchanges go on. */
export function revocationsCheck({ readAt }: RevocationBook, clock: Clock): ReadinessCheck {
  const run = async () => {
    if (clock.now() - (readAt() ?? 0) > revocationsStaleMillis) throw new Error('not read for long');
  };
  return { name: 'revocations', run, isEssential: false };
}
