/** The policy in SQL: each change is one revision, made whole or not at all, with its audit event and what stood before and after. */
import { createHash } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import type { AuditChains, Seal } from '../../core/audit-chain.ts';
import type { Json } from '../../core/json.ts';
import type { DocumentName } from '../../core/policy/diff.ts';
import type { Kind, ManagedBy, StoredDocument } from '../../core/policy/document.ts';
import {
  type PolicyChange,
  type PolicyDelta,
  type PolicyStore,
  RevisionConflict,
} from '../../core/policy-store.ts';
import { appendWithin } from './audit-store.ts';
import { type Database, policyChannel } from './database.ts';
import { type Tables, timestamp } from './tables.ts';

/** Reads through `reader` (the exchange's role suffices), writes through `writer`. */
export function policyStore(writer: Database, reader: Database, chains: AuditChains): PolicyStore {
  return {
    load: () =>
      reader.transaction(async ({ kysely, script }) => {
        await script('set transaction isolation level repeatable read, read only');
        const rows = await kysely
          .selectFrom('policy_documents')
          .select(['kind', 'name', 'managed_by', 'body'])
          .orderBy('kind')
          .orderBy('name')
          .execute();
        return {
          revision: await readRevision(kysely),
          documents: rows.map(({ kind, name, managed_by, body }) => ({
            kind,
            name,
            managedBy: managed_by,
            body,
          })),
        };
      }),
    loadSince: (revision) =>
      reader
        .transaction(async ({ kysely, script }) => {
          await script('set transaction isolation level repeatable read, read only');
          return await readDelta(kysely, revision);
        })
        .catch((error) => {
          if (isPermissionDenied(error)) return undefined; // a role of an earlier deploy/exchange-role.sql
          throw error;
        }),
    revision: () => readRevision(reader.kysely),
    replace: (change) =>
      chains.write((seal) =>
        writer.transaction(async ({ kysely }) => {
          await beginChange(kysely, seal, change);
          return endChange(kysely, change, await difference(kysely, change.documents));
        }),
      ),
    amend: (change) =>
      chains.write((seal) =>
        writer.transaction(async ({ kysely }) => {
          await beginChange(kysely, seal, change);
          return endChange(kysely, change, { changed: change.put.map(toRow), removed: change.removed });
        }),
      ),
    onChange: (listener) => reader.listen(listener),
  };
}

async function readRevision(kysely: Kysely<Tables>): Promise<number> {
  const row = await kysely
    .selectFrom('policy_revisions')
    .select(({ fn }) => fn.max('revision').as('revision'))
    .executeTakeFirst();
  return Number(row?.revision ?? 0);
}

interface Row {
  readonly kind: string;
  readonly name: string;
  readonly managedBy: string;
  readonly body: string;
}

/** More changes are loaded faster with everything else. */
const maxDelta = 1_000;

async function readDelta(kysely: Kysely<Tables>, since: number): Promise<PolicyDelta | undefined> {
  const { rows } = await sql<{ kind: Kind; name: string; managed_by: ManagedBy | null; body: Json }>`
    select touched.kind, touched.name, now.managed_by, now.body
    from (
      select distinct kind, name from policy_changes where revision > ${since}::bigint limit ${maxDelta + 1}
    ) as touched left join policy_documents now using (kind, name)`.execute(kysely);
  if (rows.length > maxDelta) return undefined;
  return {
    revision: await readRevision(kysely),
    put: rows.flatMap(({ kind, name, managed_by: managedBy, body }) =>
      managedBy === null ? [] : [{ kind, name, managedBy, body }],
    ),
    removed: rows.flatMap(({ kind, name, managed_by: managedBy }) =>
      managedBy === null ? [{ kind, name }] : [],
    ),
  };
}

const insufficientPrivilege = '42501';

function isPermissionDenied(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === insufficientPrivilege;
}

function toRow({ kind, name, managedBy, body }: StoredDocument): Row {
  return { kind, name, managedBy, body: JSON.stringify(body) };
}

/** Lets in one writer at a time, and appends its event. */
async function beginChange(
  kysely: Kysely<Tables>,
  seal: Seal,
  change: Pick<PolicyChange, 'baseRevision' | 'event'>,
): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('mintmark.policy', 0))`.execute(kysely);
  const current = await readRevision(kysely);
  if (current !== change.baseRevision) {
    throw new RevisionConflict(
      `the policy is at revision ${current}, the change was made on ${change.baseRevision}`,
    );
  }
  await appendWithin(kysely, seal, change.event);
}

/** Makes the revision, unless nothing differs; returns the one in force. */
async function endChange(
  kysely: Kysely<Tables>,
  change: Omit<PolicyChange, 'documents'>,
  { changed, removed }: { readonly changed: readonly Row[]; readonly removed: readonly DocumentName[] },
): Promise<number> {
  if (changed.length === 0 && removed.length === 0) return change.baseRevision;
  const revision = change.baseRevision + 1;
  await kysely
    .insertInto('policy_revisions')
    .values({
      revision,
      at: timestamp(change.at),
      author: change.author,
      reason: change.reason ?? null,
    })
    .execute();
  await write(kysely, revision, changed, removed);
  await sql`select pg_notify(${policyChannel}, ${String(revision)})`.execute(kysely);
  return revision;
}

/** What differs from the stored policy, by hash, so that only documents that changed cross the wire. */
async function difference(kysely: Kysely<Tables>, documents: readonly StoredDocument[]) {
  const { rows } = await sql<{ kind: Kind; name: string; sha256: string }>`
    select kind, name,
      encode(sha256(convert_to(managed_by || ' ' || body::text, 'UTF8')), 'hex') as sha256
    from policy_documents`.execute(kysely);
  const stored = new Map(rows.map((row) => [`${row.kind}/${row.name}`, row]));
  const seen = new Set<string>();
  const changed: Row[] = [];
  for (const row of documents.map(toRow)) {
    const key = `${row.kind}/${row.name}`;
    if (seen.has(key)) throw new Error(`the policy holds ${key} twice`);
    seen.add(key);
    const sha256 = createHash('sha256').update(`${row.managedBy} ${row.body}`).digest('hex');
    if (stored.get(key)?.sha256 !== sha256) changed.push(row);
  }
  const removed = rows.filter(({ kind, name }) => !seen.has(`${kind}/${name}`));
  return { changed, removed };
}

async function write(
  kysely: Kysely<Tables>,
  revision: number,
  changed: readonly Row[],
  removed: readonly { readonly kind: string; readonly name: string }[],
): Promise<void> {
  const after = sql`unnest(
      ${changed.map(({ kind }) => kind)}::text[], ${changed.map(({ name }) => name)}::text[],
      ${changed.map(({ managedBy }) => managedBy)}::text[], ${changed.map(({ body }) => body)}::text[]
    ) as after (kind, name, managed_by, body)`;
  const gone = sql`unnest(
      ${removed.map(({ kind }) => kind)}::text[], ${removed.map(({ name }) => name)}::text[]
    ) as gone (kind, name)`;
  const stored = sql`json_build_object('managedBy', before.managed_by, 'body', before.body)`;
  await sql`
    insert into policy_changes (revision, kind, name, before, after)
    select ${revision}::bigint, after.kind, after.name,
      case when before.kind is not null then ${stored} end,
      json_build_object('managedBy', after.managed_by, 'body', after.body::json)
    from ${after} left join policy_documents before on (before.kind, before.name) = (after.kind, after.name)
    union all
    select ${revision}::bigint, before.kind, before.name, ${stored}, null
    from policy_documents before join ${gone} on (before.kind, before.name) = (gone.kind, gone.name)`.execute(
    kysely,
  );
  await sql`
    insert into policy_documents (kind, name, managed_by, body, revision)
    select kind, name, managed_by, body::json, ${revision}::bigint from ${after}
    on conflict (kind, name) do update
    set managed_by = excluded.managed_by, body = excluded.body, revision = excluded.revision`.execute(kysely);
  await sql`
    delete from policy_documents using ${gone}
    where (policy_documents.kind, policy_documents.name) = (gone.kind, gone.name)`.execute(kysely);
}
