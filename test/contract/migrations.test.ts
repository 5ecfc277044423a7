/** Migrations: in order, once, whole or not at all, and never altered. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { MigrationError, migrate, pendingMigrations } from '../../src/adapters/postgres/migrations.ts';
import { describeSql, select } from './backends.ts';

const folder = await mkdtemp(join(tmpdir(), 'mintmark-migrations-'));
afterAll(() => rm(folder, { recursive: true }));

describeSql('migrations', (backend) => {
  beforeEach(async () => {
    await rm(folder, { recursive: true });
    await cp(join(import.meta.dirname, '../../migrations'), folder, { recursive: true });
  });
  const add = (name: string, statements: string) => writeFile(join(folder, name), statements);
  const run = () => migrate(backend.database, backend.clock, folder);

  test('applies what is pending once, and records it', async () => {
    expect(await run()).toEqual([]);
    await backend.stores.requireMigrated();
    await add('9001_create_one.sql', 'create table one (id int); insert into one values (1);');
    await add('9002_fill_one.sql', 'insert into one values (2);');
    expect(await pendingMigrations(backend.database, folder)).toEqual([
      '9001_create_one.sql',
      '9002_fill_one.sql',
    ]);
    expect(await run()).toEqual(['9001_create_one.sql', '9002_fill_one.sql']);
    expect(await run()).toEqual([]);
    expect(await select(backend.database, 'select id from one order by id')).toEqual([{ id: 1 }, { id: 2 }]);
    // A server that knows fewer files than the schema has serves on it.
    await backend.stores.requireMigrated();
  });

  test('a schema that is behind is refused, and so is an empty database', async () => {
    const [latest] = await select<{ name: string }>(
      backend.database,
      'delete from schema_migrations where name like $$0004%$$ returning name',
    );
    await expect(backend.stores.requireMigrated()).rejects.toThrow(
      `run \`mintmark migrate\` (pending: ${latest?.name})`,
    );
    await select(backend.database, 'drop table schema_migrations');
    await expect(backend.stores.requireMigrated()).rejects.toThrow('pending: 0001_create_policy.sql');
  });

  test('a file that changed after it was applied is an error', async () => {
    await add('0001_create_policy.sql', 'select 1;');
    await expect(run()).rejects.toThrow(MigrationError);
    await expect(pendingMigrations(backend.database, folder)).rejects.toThrow(
      '0001_create_policy.sql was applied',
    );
  });

  test('a file that fails leaves nothing behind, and later ones are not tried', async () => {
    await add('9001_break.sql', 'create table half (id int); select 1/0;');
    await add('9002_after.sql', 'create table after_it (id int);');
    await expect(run()).rejects.toThrow('division by zero');
    const [row] = await select(
      backend.database,
      `select to_regclass('half') as half, to_regclass('after_it') as after`,
    );
    expect(row).toEqual({ half: null, after: null });
    await add('9001_break.sql', 'create table half (id int);');
    expect(await run()).toEqual(['9001_break.sql', '9002_after.sql']);
  });

  test('ten replicas that migrate at once apply each file once', async () => {
    await backend.database.transaction(({ script }) =>
      script('set local client_min_messages = warning; drop schema public cascade; create schema public'),
    );
    const applied = await Promise.all(Array.from({ length: 10 }, () => backend.replica().migrate()));
    const rows = await select<{ name: string }>(
      backend.database,
      'select name from schema_migrations order by name',
    );
    expect(applied.flat().sort()).toEqual(rows.map(({ name }) => name));
    expect(rows.length).toBeGreaterThanOrEqual(4);
  });
});
