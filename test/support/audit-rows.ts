/** Many audit events at once, as rows made by the database itself. */
import { sql } from 'kysely';
import type { Database } from '../../src/adapters/postgres/database.ts';
import type { AuditFilter, AuditLog, AuditPage } from '../../src/core/ports.ts';

export const firstAtMillis = Date.UTC(2026, 0, 1);
export const rareIdentity = 'spiffe://prod.test/rare';

/**
 * `count` events, three of them in each second, since 2026-01-01: one in a hundred refused by `policy.no_grant`, one in a
 * thousand failed, one in two hundred of `rareIdentity`, the others of fifty identities, and none of an admin's.
 */
export async function insertManyEvents(database: Database, count: number): Promise<void> {
  await sql`
    insert into audit_events (request_id, at, outcome, action, identity, resource, reason, event)
    select id, at, outcome, 'token.exchange', identity, 'inventory', reason, json_strip_nulls(json_build_object(
      'requestId', id, 'at', (extract(epoch from at) * 1000)::bigint, 'outcome', outcome, 'action', 'token.exchange',
      'remoteAddress', '192.0.2.1', 'identity', identity, 'resource', 'inventory', 'reason', reason,
      'detail', repeat('x', 400)))
    from (select gen_random_uuid() as id, timestamptz '2026-01-01T00:00:00Z' + (n / 3) * interval '1 second' as at,
        case when n % 100 = 7 then 'refused' when n % 1000 = 1 then 'failed' else 'permitted' end as outcome,
        case when n % 100 = 7 then 'policy.no_grant' when n % 1000 = 1 then 'server.unexpected' end as reason,
        case when n % 200 = 5 then 'spiffe://prod.test/rare' else 'spiffe://prod.test/w' || n % 50 end as identity
      from generate_series(0, ${sql.lit(count - 1)}) as n) as made`.execute(database.kysely);
  await sql`analyze audit_events`.execute(database.kysely);
}

/** The same log, which also says what it was asked. */
export function observed(log: AuditLog) {
  const pages: AuditPage[] = [];
  let longest = 0;
  return {
    find: (requestId: string) => log.find(requestId),
    list: async (filter: AuditFilter, page: AuditPage) => {
      pages.push(page);
      const events = await log.list(filter, page);
      longest = Math.max(longest, events.length);
      return events;
    },
    /** Pages asked for so far. */
    pages,
    /** The most events that one of them held. */
    longest: () => longest,
  };
}
