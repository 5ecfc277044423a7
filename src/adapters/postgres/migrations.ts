/** Applies migrations/*.sql in order. Expand first: a schema that is ahead serves an older server, one behind does not. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Kysely, sql } from 'kysely';
import type { Clock } from '../../core/ports.ts';
import type { Database } from './database.ts';
import { type Tables, timestamp } from './tables.ts';

const migrationsFolder = join(import.meta.dirname, '../../../migrations');

interface Migration {
  readonly name: string;
  readonly sha256: string;
  readonly statements: string;
}

export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}

/**
 * Brings the schema up to date and returns the names of the files that were applied now. Each file is one transaction
 * under one advisory lock, so replicas may call it at once. Throws `MigrationError` where an applied file has changed.
 */
export async function migrate(
  database: Database,
  clock: Clock,
  folder = migrationsFolder,
): Promise<readonly string[]> {
  const applied: string[] = [];
  for (const migration of await readMigrations(folder)) {
    if (await applyOne(database, migration, clock)) applied.push(migration.name);
  }
  return applied;
}

/** Names of the files that the schema lacks; empty when a server may serve on it. Throws as `migrate` does. */
export async function pendingMigrations(
  database: Database,
  folder = migrationsFolder,
): Promise<readonly string[]> {
  const migrations = await readMigrations(folder);
  const { rows } = await sql<{ exists: boolean }>`
    select to_regclass('schema_migrations') is not null as exists`.execute(database.kysely);
  const applied = rows[0]?.exists === true ? await readApplied(database.kysely) : new Map<string, string>();
  return migrations.filter((migration) => !isApplied(migration, applied)).map(({ name }) => name);
}

async function applyOne(database: Database, migration: Migration, clock: Clock): Promise<boolean> {
  return await database.transaction(async ({ kysely, script }) => {
    await script('set local statement_timeout = 0');
    await sql`select pg_advisory_xact_lock(hashtextextended('mintmark.migrations', 0))`.execute(kysely);
    // From here on, waiting for a table lock would make everyone else wait behind us.
    await script(`set local lock_timeout = '10s';
      set local client_min_messages = warning;
      create table if not exists schema_migrations (
        name text primary key, sha256 text not null, applied_at timestamptz not null)`);
    if (isApplied(migration, await readApplied(kysely))) return false;
    await script(migration.statements);
    await kysely
      .insertInto('schema_migrations')
      .values({ name: migration.name, sha256: migration.sha256, applied_at: timestamp(clock.now()) })
      .execute();
    return true;
  });
}

async function readMigrations(folder: string): Promise<readonly Migration[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name)).sort();
  if (names.length === 0) throw new MigrationError(`no migrations in ${folder}`);
  return await Promise.all(
    names.map(async (name) => {
      const statements = await readFile(join(folder, name), 'utf8');
      return { name, statements, sha256: createHash('sha256').update(statements).digest('hex') };
    }),
  );
}

async function readApplied(kysely: Kysely<Tables>): Promise<ReadonlyMap<string, string>> {
  const rows = await kysely.selectFrom('schema_migrations').select(['name', 'sha256']).execute();
  return new Map(rows.map(({ name, sha256 }) => [name, sha256]));
}

function isApplied({ name, sha256 }: Migration, applied: ReadonlyMap<string, string>): boolean {
  const appliedSha256 = applied.get(name);
  if (appliedSha256 !== undefined && appliedSha256 !== sha256) {
    throw new MigrationError(
      `migration ${name} was applied with other contents: restore the file, and put the change in a new one`,
    );
  }
  return appliedSha256 !== undefined;
}
