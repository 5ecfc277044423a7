/** deploy/exchange-role.sql on a real server: what the exchange's role can do, and what it cannot. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { openPostgres, type SqlStores } from '../../src/adapters/postgres/open.ts';
import type { AuditEvent } from '../../src/core/audit.ts';
import { createDatabase, onServer } from '../support/postgres-client.ts';
import { testClock } from './backends.ts';

describe('the role of the exchange', () => {
  const clock = testClock();
  let stores: SqlStores;
  let exchange: pg.Client;
  let ownerUrl: string;
  let script: string;

  beforeAll(async () => {
    const url = await createDatabase(inject('postgresUrl'));
    ownerUrl = url;
    const roleUrl = new URL(url);
    roleUrl.username = 'mintmark_exchange';
    stores = await openPostgres({ url, exchangeUrl: roleUrl.href, clock });
    await stores.migrate();
    script = await readFile(join(import.meta.dirname, '../../deploy/exchange-role.sql'), 'utf8');
    await onServer(url, script);
    // It may be run again.
    await onServer(url, script);
    exchange = new pg.Client({ connectionString: roleUrl.href });
    await exchange.connect();
  });
  afterAll(async () => {
    await exchange.end();
    await stores.close();
  });

  const event = (): AuditEvent => ({
    requestId: randomUUID(),
    at: clock.now(),
    outcome: 'permitted',
    action: 'token',
    remoteAddress: '192.0.2.1',
  });

  test('serves the exchange: reads policy, appends audit, claims', async () => {
    const { policy, audit, replayGuard } = stores;
    const body = { kind: 'Grant' };
    await policy.replace({
      baseRevision: 0,
      documents: [{ kind: 'Grant', name: 'orders', managedBy: 'rest', body }],
      author: 'test',
      at: clock.now(),
      event: event(),
    });
    expect((await policy.load()).documents).toHaveLength(1);
    expect((await policy.loadSince(0))?.put).toHaveLength(1);
    const appended = event();
    await audit.append(appended);
    expect(await audit.find(appended.requestId)).toEqual(appended);
    expect(await replayGuard.claim('jti', clock.now() + 60_000)).toBe(true);
    expect(await replayGuard.claim('jti', clock.now() + 60_000)).toBe(false);
    await stores.ping();
    const users = await exchange.query(
      `select distinct usename from pg_stat_activity where datname = current_database() and application_name = 'mintmark'`,
    );
    expect(users.rows.map(({ usename }) => usename).sort()).toEqual(['mintmark', 'mintmark_exchange']);
  });

  test('of an earlier script reads the whole policy at each change', async () => {
    await onServer(ownerUrl, 'revoke select on policy_changes from mintmark_exchange');
    expect(await stores.policy.loadSince(0)).toBeUndefined();
    expect((await stores.policy.load()).documents).toHaveLength(1);
    await onServer(ownerUrl, script);
    expect((await stores.policy.loadSince(0))?.put).toHaveLength(1);
  });

  test.each([
    ['read policy', 'select kind, name, body from policy_documents'],
    ['read which documents changed', 'select revision, kind, name from policy_changes'],
    ['read public keys', 'select kid, algorithm, state, public_jwk from signing_keys'],
    ['use claims', `delete from replay_claims where expires_at < now() - interval '1 year'`],
    [
      'append audit',
      `insert into audit_events (request_id, at, outcome, action, event) values (gen_random_uuid(), now(), 'failed', 'x', '{}')`,
    ],
  ])('may %s', async (_what, statement) => {
    expect(await exchange.query(statement)).toHaveProperty('rowCount');
  });

  test.each([
    ['read audit', 'select * from audit_events'],
    ['count audit', 'select count(*) from audit_events'],
    [
      'see what it appended',
      `insert into audit_events (request_id, at, outcome, action, event)
      values (gen_random_uuid(), now(), 'failed', 'x', '{}') returning request_id`,
    ],
    ['alter audit', `update audit_events set outcome = 'permitted'`],
    ['delete audit', 'delete from audit_events'],
    ['empty audit', 'truncate audit_events'],
    ['add policy', `insert into policy_documents values ('Grant', 'mine', 'rest', '{}', 1)`],
    ['alter policy', `update policy_documents set body = '{}'`],
    ['delete policy', 'delete from policy_documents'],
    ['add a revision', `insert into policy_revisions values (99, now(), 'me')`],
    ['read the history', 'select * from policy_changes'],
    ['read what a document said', 'select before, after from policy_changes'],
    ['read wrapped private keys', 'select wrapped_private_key from signing_keys'],
    ['read whole key rows', 'select * from signing_keys'],
    ['read keys of JWT-SVIDs', 'select kid from jwt_svid_keys'],
    ['retire a key of JWT-SVIDs', `update jwt_svid_keys set state = 'retiring'`],
    ['add a key', `insert into signing_keys values ('kid', 'ES256', 'active', '{}', '', now())`],
    ['retire a key', `update signing_keys set state = 'retiring'`],
    ['alter the record of migrations', 'delete from schema_migrations'],
    ['make tables', 'create table mine (id int)'],
    ['drop tables', 'drop table audit_events'],
    ['become the owner', 'set role mintmark'],
  ])('may not %s', async (_what, statement) => {
    const error: unknown = await exchange.query(statement).catch((failure: unknown) => failure);
    expect(error).toMatchObject({ code: '42501' });
  });
});
