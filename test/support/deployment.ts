/** What an operator sets up before our server starts: a migrated database, Redis, a key and an admin token. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { createDatabase } from './postgres-client.ts';

const run = promisify(execFile);
const commandLine = new URL('../../src/cli/mintmark.ts', import.meta.url).pathname;

/** The bootstrap admin token of every deployment made here. */
export const adminToken = randomBytes(32).toString('hex');
const keyEncryptionKey = randomBytes(32).toString('base64');

export type DatabaseName = 'embedded' | 'PostgreSQL';
export type SharedName = 'memory' | 'Redis';

/** The environment of a server on these stores; each call makes a database of its own, with its schema in place. */
export async function deploy(database: DatabaseName, shared: SharedName): Promise<Record<string, string>> {
  const environment = database === 'PostgreSQL' ? await deployWithoutSchema() : {};
  if (database === 'PostgreSQL') await migrate(environment);
  return {
    ...environment,
    MINTMARK_ADMIN_TOKEN: adminToken,
    ...(shared === 'Redis' ? { REDIS_URL: inject('redisUrl') ?? 'no redis-server on this machine' } : {}),
  };
}

/** A PostgreSQL database as it is before the first `mintmark migrate`; on the server that all share, unless another is given. */
export async function deployWithoutSchema(
  postgresUrl = inject('postgresUrl'),
): Promise<Record<string, string>> {
  return {
    DATABASE_URL: await createDatabase(postgresUrl),
    MINTMARK_KEY_ENCRYPTION_KEY: keyEncryptionKey,
  };
}

/** Runs `mintmark migrate`; rejects where it does not exit with 0. `program` is the command line of another release. */
export async function migrate(environment: Record<string, string>, program = commandLine): Promise<void> {
  await run(process.execPath, [program, 'migrate'], {
    env: { PATH: process.env.PATH, MINTMARK_TRUST_DOMAIN: 'mintmark.test', ...environment },
  });
}
