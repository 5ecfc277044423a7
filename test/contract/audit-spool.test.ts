/** The audit's spool beside a real PostgreSQL: what an append acknowledged is in the database afterwards, once. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { openPostgres, type SqlStores } from '../../src/adapters/postgres/open.ts';
import { openSpool, type SpoolOptions } from '../../src/adapters/spool/open.ts';
import type { AuditEvent } from '../../src/core/audit.ts';
import { OAuthError } from '../../src/core/error.ts';
import { type Postgres, startPostgres } from '../support/postgres.ts';
import { onServer } from '../support/postgres-client.ts';

const clock = { now: () => Date.now() };
let folder: string;
let logged: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mintmark-spool-'));
  logged = [];
  return () => rm(folder, { recursive: true });
});

function newEvent(more: Partial<AuditEvent> = {}): AuditEvent {
  return {
    requestId: randomUUID(),
    at: clock.now(),
    outcome: 'permitted',
    action: 'token.exchange',
    remoteAddress: '192.0.2.1',
    ...more,
  };
}

async function openHere(store: SpoolOptions['store'], options: Partial<SpoolOptions> = {}) {
  const spool = await openSpool({
    folder,
    store,
    clock,
    retryMillis: 50,
    log: (message) => logged.push(message),
    ...options,
  });
  onTestFinished(() => spool.close());
  return spool;
}

const spoolFiles = async () => (await readdir(folder)).filter((name) => name.endsWith('.ndjson'));

describe('PostgreSQL that goes away and comes back', () => {
  let postgres: Postgres;
  let url: string;
  let stores: SqlStores;
  beforeAll(async () => {
    postgres = await startPostgres();
    url = await postgres.createDatabase();
    stores = await openPostgres({ url, clock, onBackgroundError: () => {} });
    await stores.migrate();
  });
  afterAll(async () => {
    await stores.close();
    await postgres.stop();
  });

  const storedIds = async () => {
    const { rows } = await onServer(url, 'select request_id from audit_events');
    return rows.map((row) => String(row.request_id));
  };

  /** Appends from many callers at once until told to stop; returns the ids that were acknowledged. */
  function appendUnderLoad(append: (event: AuditEvent) => Promise<void>) {
    const kept: string[] = [];
    const refused: unknown[] = [];
    let isAppending = true;
    const appender = async () => {
      while (isAppending) {
        const event = newEvent();
        await append(event).then(
          () => kept.push(event.requestId),
          (error) => refused.push(error),
        );
      }
    };
    const all = Promise.all(Array.from({ length: 32 }, appender));
    const stop = async () => {
      isAppending = false;
      await all;
    };
    return { kept, refused, stop };
  }

  test('killed with -9: no append fails, and each event is stored once', async () => {
    const spool = await openHere(stores.audit);
    const { kept, refused, stop } = appendUnderLoad(spool.append);
    await expect.poll(() => kept.length).toBeGreaterThan(300);
    await postgres.kill9();
    await expect.poll(() => spool.status().events).toBeGreaterThan(300);
    const keptDuringOutage = kept.length;
    await postgres.restart();
    await expect.poll(() => spool.status().isSpooling, { timeout: 10_000 }).toBe(false);
    await expect.poll(() => kept.length).toBeGreaterThan(keptDuringOutage + 300);
    await stop();
    await expect.poll(() => spool.drain()).toBe(true);
    expect(refused).toEqual([]);
    const stored = await storedIds();
    expect(new Set(stored).size).toBe(stored.length);
    expect(stored.sort()).toEqual([...kept].sort());
    expect(await spoolFiles()).toEqual([]);
    expect(spool.status()).toEqual({ isSpooling: false, events: 0, bytes: 0 });
    console.info(`spool: ${kept.length} appended through a kill -9, ${stored.length} stored, 0 refused`);
  }, 60_000);

  test('that only stops answering: attempts wait a moment, and what reached both is stored once', async () => {
    const before = new Set(await storedIds());
    const spool = await openHere(stores.audit, { patienceMillis: 200 });
    const { kept, refused, stop } = appendUnderLoad(spool.append);
    await expect.poll(() => kept.length).toBeGreaterThan(100);
    await postgres.pause();
    await expect.poll(() => spool.status().events).toBeGreaterThan(100);
    await postgres.resume();
    await stop();
    await expect.poll(() => spool.drain(), { timeout: 20_000 }).toBe(true);
    expect(refused).toEqual([]);
    const stored = (await storedIds()).filter((id) => !before.has(id));
    expect(stored.sort()).toEqual([...kept].sort());
  }, 60_000);

  test('an event that the database refuses for what it holds is refused, not spooled', async () => {
    const spool = await openHere(stores.audit);
    const twice = newEvent();
    await spool.append(twice);
    await expect(spool.append(twice)).rejects.toMatchObject({ reason: 'server.audit_unavailable' });
    expect(spool.status().isSpooling).toBe(false);
    expect(await spoolFiles()).toEqual([]);
  });

  test('what an earlier process left is taken over; a line that was cut short, or that no database takes, is not in the way', async () => {
    const left = [newEvent({ identity: 'spiffe://a.test/\u2028x' }), newEvent()];
    const [first, second] = left;
    await stores.audit.append(first as AuditEvent); // the process died before it knew
    const bad = { ...newEvent(), requestId: 'no-uuid' };
    const lines = [first, bad, second].map((event) => JSON.stringify(event));
    await writeFile(join(folder, 'audit-000-a.ndjson'), `${lines.join('\n')}\n{"requestId":"cut sho`);
    const spool = await openHere(stores.audit);
    expect(spool.status()).toMatchObject({ isSpooling: true, events: 3 });
    const later = newEvent();
    await spool.append(later);
    await expect
      .poll(() => spool.status(), { timeout: 5_000 })
      .toMatchObject({ isSpooling: false, events: 0 });
    const stored = await storedIds();
    for (const { requestId } of [...left, later]) {
      expect(stored.filter((id) => id === requestId)).toHaveLength(1);
    }
    expect(await readdir(folder)).toEqual(['audit-000-a.ndjson.refused']);
    expect(await readFile(join(folder, 'audit-000-a.ndjson.refused'), 'utf8')).toBe(`${lines[1]}\n`);
    expect(logged).toContain('an audit event that the database refuses was kept aside');
  });
});

describe('a database that is away for good', () => {
  const away = {
    append: async () => {
      throw new OAuthError('server.audit_unavailable', { cause: new Error('ECONNREFUSED') });
    },
    isEventsFault: () => false,
    restore: async () => {
      throw new Error('ECONNREFUSED');
    },
  };

  test('leaves whole lines that only the owner may read, on disk before the append resolves', async () => {
    const spool = await openHere(away);
    const events = Array.from({ length: 200 }, () => newEvent({ detail: 'ünï\n\u2028' }));
    await Promise.all(events.map(spool.append));
    const lines: unknown[] = [];
    for (const name of await spoolFiles()) {
      const path = join(folder, name);
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      const text = await readFile(path, 'utf8');
      lines.push(
        ...text
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line)),
      );
    }
    expect(lines).toHaveLength(200);
    expect(lines).toEqual(expect.arrayContaining(events));
  });

  test('events of many short lives are all replayed by the next', async () => {
    const events = Array.from({ length: 30 }, () => newEvent());
    for (const event of events) {
      const spool = await openHere(away);
      await spool.append(event);
      await spool.close();
    }
    const restored: AuditEvent[] = [];
    const spool = await openHere({ ...away, restore: async (batch) => void restored.push(...batch) });
    await expect.poll(() => spool.drain()).toBe(true);
    expect(restored.map(({ requestId }) => requestId)).toEqual(events.map(({ requestId }) => requestId));
  });

  test('is refused once the spool holds what it may', async () => {
    const spool = await openHere(away, { maxBytes: 1_000 });
    const outcomes = [];
    for (let count = 0; count < 20; count += 1) {
      outcomes.push(
        await spool.append(newEvent()).then(
          () => 'kept',
          (error: OAuthError) => error.reason,
        ),
      );
    }
    expect(outcomes.at(0)).toBe('kept');
    expect(outcomes.at(-1)).toBe('server.audit_unavailable');
    expect(spool.status().bytes).toBeLessThan(2_000);
  });

  test('is refused where the disk does not take it either', async () => {
    const spool = await openHere(away, { folder: join(folder, 'inner') });
    await rm(join(folder, 'inner'), { recursive: true });
    await expect(spool.append(newEvent())).rejects.toMatchObject({ reason: 'server.audit_unavailable' });
  });
});
