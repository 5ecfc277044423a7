/** Revocations in SQL: one row a target, whose last word it is, made together with its audit event. */
import { type Kysely, type Selectable, sql } from 'kysely';
import type { AuditChains, Seal } from '../../core/audit-chain.ts';
import { OAuthError } from '../../core/error.ts';
import type { RevocationOrder, RevocationStore } from '../../core/ports.ts';
import type { Revocation, RevocationKind } from '../../core/revocation.ts';
import { appendWithin } from './audit-store.ts';
import { type Database, revocationChannel } from './database.ts';
import { type Tables, timestamp } from './tables.ts';

/** Of rows; every replica holds them all in memory, at some 300 bytes each. */
const limits: Readonly<Record<RevocationKind, number>> = {
  token: 100_000,
  identity: 100_000,
  issuer: 1_000,
  key: 1_000,
};
/** Of tokens of one owner: beyond it all of them are revoked at once. */
export const maxTokensOfOwner = 1_000;

/** Reads through `reader` (the exchange's role suffices), writes through `writer`. */
export function revocationStore(writer: Database, reader: Database, chains: AuditChains): RevocationStore {
  return {
    head: async () => {
      const row = await reader.kysely
        .selectFrom('revocations')
        .select(({ fn }) => fn.max('id').as('id'))
        .executeTakeFirst();
      return Number(row?.id ?? 0);
    },
    load: async (above, nowMillis) => {
      const rows = await reader.kysely
        .selectFrom('revocations')
        .selectAll()
        .where('id', '>', above)
        .where('expires_at', '>', sql<Date>`${timestamp(nowMillis)}`)
        .orderBy('id')
        .execute();
      return rows.map(fromRow);
    },
    add: (order) => chains.write((seal) => writer.transaction(({ kysely }) => add(kysely, seal, order))),
    list: async ({ kind, target, below, limit }) => {
      let query = reader.kysely.selectFrom('revocations').selectAll().orderBy('id', 'desc').limit(limit);
      if (kind !== undefined) query = query.where('kind', '=', kind);
      if (target !== undefined) query = query.where('target', '=', target);
      if (below !== undefined) query = query.where('id', '<', below);
      return (await query.execute()).map(fromRow);
    },
    onChange: (listener) => reader.listen(listener, revocationChannel),
  };
}

async function add(
  kysely: Kysely<Tables>,
  seal: Seal,
  { event, ...revocation }: RevocationOrder,
): Promise<Revocation> {
  // Ids become visible in their order, so that who reads on from the highest one misses none.
  await sql`select pg_advisory_xact_lock(hashtextextended('mintmark.revocations', 0))`.execute(kysely);
  await kysely
    .deleteFrom('revocations')
    .where('expires_at', '<=', sql<Date>`${timestamp(revocation.at)}`)
    .execute();
  const made = await insert(kysely, await withinLimits(kysely, revocation));
  await appendWithin(kysely, seal, event(made));
  await sql`select pg_notify(${revocationChannel}, ${String(made.id)})`.execute(kysely);
  return made;
}

async function withinLimits(
  kysely: Kysely<Tables>,
  order: Omit<RevocationOrder, 'event'>,
): Promise<Omit<Revocation, 'id'>> {
  const { instead, ...revocation } = order;
  const { kind, owner } = revocation;
  if (instead !== undefined && owner !== undefined) {
    const row = await kysely
      .selectFrom('revocations')
      .select(({ fn }) => fn.countAll().as('count'))
      .where('owner', '=', owner)
      .executeTakeFirst();
    if (Number(row?.count ?? 0) >= maxTokensOfOwner) {
      await kysely
        .deleteFrom('revocations')
        .where('owner', '=', owner)
        .where('at', '<', sql<Date>`${timestamp(instead.before)}`)
        .execute();
      return await withinLimits(kysely, instead);
    }
  }
  const row = await kysely
    .selectFrom('revocations')
    .select(({ fn }) => fn.countAll().as('count'))
    .where('kind', '=', kind)
    .executeTakeFirst();
  if (Number(row?.count ?? 0) >= limits[kind]) {
    throw new OAuthError('server.revocations_full', { detail: `${limits[kind]} of kind ${kind}` });
  }
  return revocation;
}

/** A new row also where there is one of the target, so that its id says to the others that it changed. */
async function insert(kysely: Kysely<Tables>, revocation: Omit<Revocation, 'id'>): Promise<Revocation> {
  const { kind, target, subjects } = revocation;
  await kysely
    .deleteFrom('revocations')
    .where('kind', '=', kind)
    .where('target', '=', target)
    .where('subjects', '=', subjects)
    .execute();
  const row = await kysely
    .insertInto('revocations')
    .values({
      kind,
      target,
      subjects,
      owner: revocation.owner ?? null,
      before: timestamp(revocation.before),
      at: timestamp(revocation.at),
      author: revocation.author,
      reason: revocation.reason ?? null,
      expires_at: timestamp(revocation.expiresAt),
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return { ...revocation, id: Number(row.id) };
}

function fromRow(row: Selectable<Tables['revocations']>): Revocation {
  return {
    id: Number(row.id),
    kind: row.kind,
    target: row.target,
    subjects: row.subjects,
    owner: row.owner ?? undefined,
    before: row.before.getTime(),
    at: row.at.getTime(),
    author: row.author,
    reason: row.reason ?? undefined,
    expiresAt: row.expires_at.getTime(),
  };
}
