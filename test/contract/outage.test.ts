/** PostgreSQL killed in the middle of its work: nothing that was promised is lost, and everything works again. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openPostgres, type SqlStores } from '../../src/adapters/postgres/open.ts';
import type { OAuthError } from '../../src/core/error.ts';
import { type Postgres, startPostgres } from '../support/postgres.ts';
import { onServer } from '../support/postgres-client.ts';
import { policyEvent, testClock } from './backends.ts';

describe('PostgreSQL killed with -9', () => {
  const clock = testClock();
  let postgres: Postgres;
  let url: string;
  let stores: SqlStores;
  const losses: unknown[] = [];

  beforeAll(async () => {
    postgres = await startPostgres();
    url = await postgres.createDatabase();
    stores = await openPostgres({ url, clock, onBackgroundError: (error) => losses.push(error) });
    await stores.migrate();
  });
  afterAll(async () => {
    await stores.close();
    await postgres.stop();
  });

  test('each append is either there afterwards or was refused, and appends work again', async () => {
    const kept: string[] = [];
    const refused: OAuthError[] = [];
    let isAppending = true;
    const appender = async () => {
      while (isAppending) {
        const requestId = randomUUID();
        const event = { requestId, at: clock.now(), action: 'token', remoteAddress: '192.0.2.1' };
        await stores.audit.append({ ...event, outcome: 'permitted' }).then(
          () => kept.push(requestId),
          async (error: OAuthError) => {
            refused.push(error);
            await sleep(20);
          },
        );
      }
    };
    const appenders = Promise.all(Array.from({ length: 64 }, appender));
    await expect.poll(() => kept.length).toBeGreaterThan(500);
    await postgres.kill9();
    await expect.poll(() => refused.length).toBeGreaterThan(64);
    const keptBefore = kept.length;
    await postgres.restart();
    await expect.poll(() => kept.length, { timeout: 10_000 }).toBeGreaterThan(keptBefore + 500);
    isAppending = false;
    await appenders;
    expect(new Set(refused.map(({ reason }) => reason))).toEqual(new Set(['server.audit_unavailable']));
    const { rows } = await onServer(url, 'select request_id from audit_events');
    const stored = new Set(rows.map((row) => row.request_id));
    expect(kept.filter((requestId) => !stored.has(requestId))).toEqual([]);
  });

  test('while it is down every port refuses, and each recovers by itself', async () => {
    const { policy, keys, replayGuard } = stores;
    const listener = vi.fn();
    policy.onChange(listener);
    const claim = (key: string) => replayGuard.claim(key, clock.now() + 60_000);
    expect(await claim('before')).toBe(true);
    await policy.load();
    await postgres.kill9();
    const unavailable = { reason: 'server.replay_guard_unavailable' };
    await expect(claim('before')).rejects.toMatchObject(unavailable);
    await expect(claim('during')).rejects.toMatchObject(unavailable);
    for (const attempt of [stores.ping(), policy.load(), policy.revision(), keys.list()]) {
      await expect(attempt).rejects.toThrow();
    }
    await postgres.restart();
    await expect
      .poll(() =>
        stores.ping().then(
          () => 'up',
          () => 'down',
        ),
      )
      .toBe('up');
    expect(await claim('before')).toBe(false);
    expect(await claim('during')).toBe(true);
    expect(await keys.list()).toEqual([]);
    // The listener hears that it may have missed something, and then of changes again.
    await expect.poll(() => listener.mock.calls.length, { timeout: 15_000 }).toBeGreaterThan(0);
    listener.mockClear();
    const document = { kind: 'Grant', name: 'a', managedBy: 'rest', body: {} } as const;
    await policy.replace({
      baseRevision: 0,
      documents: [document],
      author: 'test',
      at: clock.now(),
      event: policyEvent(clock.now()),
    });
    await expect.poll(() => listener.mock.calls.length).toBeGreaterThan(0);
    expect(losses.length).toBeGreaterThan(0);
  });

  test('a transaction that the server ends under us rolls back, and its connection is not used again', async () => {
    const before = await stores.policy.load();
    const killer = onServer(
      url,
      `select pg_sleep(0.2); select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name = 'mintmark' and pid <> pg_backend_pid()`,
    );
    const document = { kind: 'Grant', name: 'b', managedBy: 'rest', body: {} } as const;
    const lock = onServer(
      url,
      `select pg_advisory_lock(hashtextextended('mintmark.policy', 0)), pg_sleep(0.5)`,
    );
    await sleep(50);
    const change = stores.policy.replace({
      baseRevision: before.revision,
      documents: [document],
      author: 'test',
      at: clock.now(),
      event: policyEvent(clock.now()),
    });
    await expect(change).rejects.toThrow();
    await Promise.all([killer, lock]);
    expect(await stores.policy.load()).toEqual(before);
  });
});
