/** The SQL stores behind one door, the same for PostgreSQL and PGlite. */
import { sql } from 'kysely';
import { type AuditVerdict, verifyAudit } from '../../core/audit-verify.ts';
import type { PolicyHistory, PolicyStore } from '../../core/policy-store.ts';
import type { Clock, KeyCache, KeyStore, PublicJwk, ReplayGuard, RevocationStore } from '../../core/ports.ts';
import { type AuditWindow, readAudit } from './audit-reading.ts';
import { type AuditStore, auditStore } from './audit-store.ts';
import type { Database, OnBackgroundError } from './database.ts';
import { keyCache } from './key-cache.ts';
import { keyStore } from './key-store.ts';
import { MigrationError, migrate, pendingMigrations } from './migrations.ts';
import { openPgDatabase } from './pg-database.ts';
import { openPgliteDatabase } from './pglite-database.ts';
import { policyHistory } from './policy-history.ts';
import { policyStore } from './policy-store.ts';
import { replayGuard } from './replay-guard.ts';
import { revocationStore } from './revocation-store.ts';

export interface SqlStores {
  readonly policy: PolicyStore;
  readonly policyHistory: PolicyHistory;
  readonly keys: KeyStore;
  readonly svidKeys: KeyStore;
  readonly keyCache: KeyCache;
  readonly audit: AuditStore;
  /** Proves the chains of the stored audit, as it is at one moment. */
  verifyAudit(window: AuditWindow, publicKeys: readonly PublicJwk[]): Promise<AuditVerdict>;
  readonly replayGuard: ReplayGuard;
  readonly revocations: RevocationStore;
  /** Resolves when each database answers. */
  ping(): Promise<void>;
  /** Returns the names of the migrations that were applied now. */
  migrate(): Promise<readonly string[]>;
  /** Throws `MigrationError` where the schema is behind. A schema that is ahead is fine: N and N+1 run side by side. */
  requireMigrated(): Promise<void>;
  /** Writes what the audit has taken, then disconnects. */
  close(): Promise<void>;
}

export interface PostgresConfig {
  readonly url: string;
  /** For reading policy and revocations, appending audit and claiming, with the role of deploy/exchange-role.sql; default: `url`. */
  readonly exchangeUrl?: string;
  readonly clock: Clock;
  readonly onBackgroundError?: OnBackgroundError;
}

/** Connects when first used, so that a server that is down is a matter of readiness, not of starting. */
export async function openPostgres({ url, exchangeUrl, clock, ...rest }: PostgresConfig): Promise<SqlStores> {
  // Two of them also on one URL: a policy change may take its time, an exchange may not, nor wait for the former.
  const database = openPgDatabase({ ...rest, url, maxConnections: 4, statementTimeoutMillis: 30_000 });
  const exchangeDatabase = openPgDatabase({ ...rest, url: exchangeUrl ?? url });
  return sqlStores(database, exchangeDatabase, clock);
}

export interface PgliteStoreConfig {
  /** Absent: in memory. */
  readonly dataDir?: string;
  readonly clock: Clock;
}

export async function openPglite({ clock, ...config }: PgliteStoreConfig): Promise<SqlStores> {
  const database = await openPgliteDatabase(config);
  return sqlStores(database, database, clock);
}

/** The stores over databases that are open already; `close` closes them. */
export function sqlStores(database: Database, exchangeDatabase: Database, clock: Clock): SqlStores {
  const databases = new Set([database, exchangeDatabase]);
  const audit = auditStore(database, exchangeDatabase);
  return {
    policy: policyStore(database, exchangeDatabase, audit.chains),
    policyHistory: policyHistory(database),
    keys: keyStore(database, 'access_token', clock),
    svidKeys: keyStore(database, 'jwt-svid', clock),
    keyCache: keyCache(database, clock),
    audit,
    verifyAudit: (window, publicKeys) =>
      readAudit(database, window, (events) => verifyAudit(events, publicKeys)),
    replayGuard: replayGuard(exchangeDatabase, clock),
    revocations: revocationStore(database, exchangeDatabase, audit.chains),
    ping: async () => {
      await Promise.all([...databases].map(({ kysely }) => sql`select 1`.execute(kysely)));
    },
    migrate: () => migrate(database, clock),
    requireMigrated: async () => {
      const pending = await pendingMigrations(database);
      if (pending.length === 0) return;
      throw new MigrationError(
        `the database schema is behind: run \`mintmark migrate\` (pending: ${pending.join(', ')})`,
      );
    },
    close: async () => {
      await audit.close();
      await Promise.all([...databases].map((opened) => opened.close()));
    },
  };
}
