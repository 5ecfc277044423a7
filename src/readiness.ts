/** What a replica cannot do without, and what it bears. */

import type { SqlStores } from './adapters/postgres/open.ts';
import type { RedisStores } from './adapters/redis/open.ts';
import type { Spool } from './adapters/spool/open.ts';
import type { ReadinessCheck } from './http/dependencies.ts';

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
