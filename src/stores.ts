/** Opens what holds state: the database or the data folder, Redis, and the secrets of an embedded installation. */
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import { type LastKnown, openLastKnown } from './adapters/data-dir/last-known.ts';
import { type DataDir, openDataDir } from './adapters/data-dir/open.ts';
import { claimWriterFolder } from './adapters/data-dir/writer-folder.ts';
import { MigrationError } from './adapters/postgres/migrations.ts';
import { openPglite, openPostgres, type SqlStores } from './adapters/postgres/open.ts';
import { openRedis, type RedisStores } from './adapters/redis/open.ts';
import { openSpool, type Spool } from './adapters/spool/open.ts';
import type { Config } from './config.ts';
import type { AuditVerdict } from './core/audit-verify.ts';
import type { Clock } from './core/ports.ts';
import { Secret } from './core/secret.ts';

const secretBytes = 32;

/** Applies pending migrations, as `mintmark migrate` does. Returns their names. */
export async function migrateStores(
  config: Config,
  clock: Clock,
  logger: FastifyBaseLogger,
): Promise<readonly string[]> {
  const dataDir = config.databaseUrl === undefined ? await openDataDir(config.dataDir) : undefined;
  try {
    const stores = await connectStores(config, dataDir, clock, logger);
    try {
      return await stores.migrate();
    } finally {
      await stores.close();
    }
  } finally {
    await dataDir?.close();
  }
}

/** Proves the chains of the stored audit. The embedded store is one process's: no server may run on it. */
export async function verifyStoredAudit(
  config: Config,
  clock: Clock,
  logger: FastifyBaseLogger,
  ...[window, publicKeys]: Parameters<SqlStores['verifyAudit']>
): Promise<AuditVerdict> {
  const dataDir = config.databaseUrl === undefined ? await openDataDir(config.dataDir) : undefined;
  try {
    const stores = await connectStores(config, dataDir, clock, logger);
    try {
      return await stores.verifyAudit(window, publicKeys);
    } finally {
      await stores.close();
    }
  } finally {
    await dataDir?.close();
  }
}

/**
 * The embedded store migrates itself; a shared one is migrated on purpose, and refused while it is behind. One that
 * cannot be reached is opened all the same where the audit has its spool: the last known state may do for a while.
 */
export async function openStores(
  config: Config,
  dataDir: DataDir | undefined,
  clock: Clock,
  logger: FastifyBaseLogger,
) {
  const stores = await connectStores(config, dataDir, clock, logger);
  try {
    await (dataDir ? stores.migrate() : stores.requireMigrated());
    return stores;
  } catch (error) {
    if (config.auditOnOutage === 'spool' && !(error instanceof MigrationError)) return stores;
    await stores.close();
    throw error;
  }
}

function connectStores(
  config: Config,
  dataDir: DataDir | undefined,
  clock: Clock,
  logger: FastifyBaseLogger,
) {
  if (dataDir) return openPglite({ dataDir: `${dataDir.path}/pglite`, clock });
  if (config.databaseUrl === undefined) throw new Error('neither a database nor a data folder');
  return openPostgres({
    url: config.databaseUrl.reveal(),
    ...(config.exchangeDatabaseUrl ? { exchangeUrl: config.exchangeDatabaseUrl.reveal() } : {}),
    clock,
    onBackgroundError: (error) => logger.warn({ err: error }, 'PostgreSQL connection lost'),
  });
}

export function openSharedState(
  url: Secret<string>,
  clock: Clock,
  logger: FastifyBaseLogger,
): Promise<RedisStores> {
  return openRedis({
    url: url.reveal(),
    clock,
    onBackgroundError: (error) => logger.warn({ err: error }, 'Redis connection lost'),
  });
}

export async function keyEncryptionKeyOf(
  config: Config,
  dataDir: DataDir | undefined,
): Promise<Secret<Uint8Array>> {
  const key =
    config.keyEncryptionKey ?? (await dataDir?.readOrCreateSecret('key-encryption-key', secretBytes));
  if (key === undefined) throw new Error('no key-encryption key'); // config.ts has refused this already
  return key;
}

export async function adminTokenOf(
  config: Config,
  dataDir: DataDir | undefined,
): Promise<Secret<string> | undefined> {
  if (config.adminToken !== undefined) return config.adminToken === 'off' ? undefined : config.adminToken;
  const generated = await dataDir?.readOrCreateSecret('admin-token', secretBytes);
  return generated && new Secret(Buffer.from(generated.reveal()).toString('base64url'));
}

/** The spool of this process, in a folder of its own under the data folder; it takes over what dead processes left there. */
export async function openAuditSpool(
  config: Config,
  stores: SqlStores,
  clock: Clock,
  logger: FastifyBaseLogger,
): Promise<Spool | undefined> {
  if (config.auditOnOutage === 'deny') return undefined;
  const folder = await claimWriterFolder(join(config.dataDir, 'audit-spool'));
  const spool = await openSpool({
    folder: folder.path,
    store: stores.audit,
    clock,
    log: (message, details) => logger.warn(details, message),
  });
  return {
    ...spool,
    close: async () => {
      await spool.close();
      await folder.release();
    },
  };
}

/** Undefined where attempts are refused without the database anyway. */
export async function openLastKnownState(
  config: Config,
  stores: SqlStores,
  keyEncryptionKey: Secret<Uint8Array>,
  clock: Clock,
  logger: FastifyBaseLogger,
): Promise<LastKnown | undefined> {
  if (config.auditOnOutage === 'deny') return undefined;
  return await openLastKnown({
    folder: join(config.dataDir, 'last-known'),
    keyEncryptionKey,
    previousKeyEncryptionKey: config.previousKeyEncryptionKey,
    stores,
    clock,
    log: (message, details) => logger.warn(details, message),
  });
}
