/** What an operator asks of a PostgreSQL before a server runs on it. */
import pg from 'pg';

export interface PostgresDiagnosis {
  readonly version: string;
  /** The database's clock, in milliseconds since the epoch. */
  readonly nowMillis: number;
  readonly user: string;
  readonly canReadAudit: boolean;
  readonly canAppendAudit: boolean;
}

/** Rejects where it cannot be reached, or holds no audit table. */
export async function diagnosePostgres(url: string): Promise<PostgresDiagnosis> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    query_timeout: 5_000,
  });
  client.on('error', () => {}); // told to whoever waits for the query
  await client.connect();
  try {
    const { rows } = await client.query(
      `select current_setting('server_version') as version, current_user as "user",
        extract(epoch from clock_timestamp()) * 1000 as now,
        has_table_privilege('audit_events', 'select') as can_read,
        has_table_privilege('audit_events', 'insert') as can_append`,
    );
    const { version, user, now, can_read: canReadAudit, can_append: canAppendAudit } = rows[0];
    return { version, user, nowMillis: Number(now), canReadAudit, canAppendAudit };
  } finally {
    await client.end();
  }
}
