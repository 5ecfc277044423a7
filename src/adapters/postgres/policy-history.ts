/** What the policy was before: revisions with what they changed, and the whole policy as of any of them. */
import { type Kysely, sql } from 'kysely';
import type { StoredDocument } from '../../core/policy/document.ts';
import type { PolicyHistory, PolicyRevision } from '../../core/policy-store.ts';
import type { Database } from './database.ts';
import { type Tables, timestamp } from './tables.ts';

/** Reads with the owner's role: the exchange's cannot see what a document said before. */
export function policyHistory(database: Database): PolicyHistory {
  const snapshot = <T>(read: (kysely: Kysely<Tables>) => Promise<T>) =>
    database.transaction(async ({ kysely, script }) => {
      await script('set transaction isolation level repeatable read, read only');
      return read(kysely);
    });
  return {
    list: async ({ author, since, until, below, limit }) => {
      let query = database.kysely.selectFrom('policy_revisions').selectAll();
      if (author !== undefined) query = query.where('author', '=', author);
      if (since !== undefined) query = query.where('at', '>=', moment(since));
      if (until !== undefined) query = query.where('at', '<', moment(until));
      if (below !== undefined) query = query.where('revision', '<', below);
      const rows = await query.orderBy('revision', 'desc').limit(limit).execute();
      return rows.map(toRevision);
    },
    find: async (revision) => {
      const row = await readRevision(database.kysely, revision);
      if (row === undefined) return undefined;
      const changes = await database.kysely
        .selectFrom('policy_changes')
        .select(['kind', 'name', 'before', 'after'])
        .where('revision', '=', revision)
        .execute();
      return {
        ...toRevision(row),
        before: changes.flatMap((change) => toDocument(change, change.before)),
        after: changes.flatMap((change) => toDocument(change, change.after)),
      };
    },
    documentsAt: (revision) =>
      snapshot(async (kysely) => {
        if ((await readRevision(kysely, revision)) === undefined) return undefined;
        // Whole sides, read apart here: the server's own -> would refuse a document that holds \u0000.
        const undone = await kysely
          .selectFrom('policy_changes')
          .distinctOn(['kind', 'name'])
          .select(['kind', 'name', 'before'])
          .where('revision', '>', revision)
          .orderBy('kind')
          .orderBy('name')
          .orderBy('revision')
          .execute();
        const untouched = await kysely
          .selectFrom('policy_documents')
          .select(['kind', 'name', 'managed_by', 'body'])
          .where('revision', '<=', revision)
          .execute();
        return [
          ...untouched.map(({ managed_by: managedBy, ...rest }) => ({ ...rest, managedBy })),
          ...undone.flatMap((change) => toDocument(change, change.before)),
        ].sort(inOrder);
      }),
  };
}

const moment = (millis: number) => sql<Date>`${timestamp(millis)}::timestamptz`;

function readRevision(kysely: Kysely<Tables>, revision: number) {
  return kysely
    .selectFrom('policy_revisions')
    .selectAll()
    .where('revision', '=', revision)
    .executeTakeFirst();
}

function toRevision(row: {
  readonly revision: string | number;
  readonly at: Date;
  readonly author: string;
  readonly reason: string | null;
}): PolicyRevision {
  return {
    revision: Number(row.revision),
    at: row.at.getTime(),
    author: row.author,
    reason: row.reason ?? undefined,
  };
}

type Side = Pick<StoredDocument, 'managedBy' | 'body'> | null;

function toDocument({ kind, name }: Pick<StoredDocument, 'kind' | 'name'>, side: Side): StoredDocument[] {
  return side === null ? [] : [{ kind, name, managedBy: side.managedBy, body: side.body }];
}

function inOrder(a: StoredDocument, b: StoredDocument): number {
  const [left, right] = [`${a.kind}/${a.name}`, `${b.kind}/${b.name}`];
  return left < right ? -1 : left > right ? 1 : 0;
}
