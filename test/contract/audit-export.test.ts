/** The export of the audit over a real socket: whole, no faster than it is read, stopped when its reader leaves, and visibly broken when it breaks. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import Fastify, { type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { afterEach, expect, test } from 'vitest';
import { openPostgres } from '../../src/adapters/postgres/open.ts';
import { openPgDatabase } from '../../src/adapters/postgres/pg-database.ts';
import type { AuditLog } from '../../src/core/ports.ts';
import { auditEventRoutes } from '../../src/http/admin/audit-event-routes.ts';
import { exportBatch } from '../../src/http/admin/audit-export.ts';
import { insertManyEvents, observed } from '../support/audit-rows.ts';
import { startPostgres } from '../support/postgres.ts';
import { openSocket } from '../support/raw-http.ts';
import { describeSql, testClock } from './backends.ts';

const path = '/audit-events';
const headers = { accept: 'application/x-ndjson' };
const rows = 20_000;
const patient = { timeout: 10_000 };

const apps: FastifyInstance[] = [];
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

/** The route alone, behind no gate. */
async function serve(
  auditLog: AuditLog,
  stallMillis = 60_000,
): Promise<{ app: FastifyInstance; url: string }> {
  const app = Fastify({ forceCloseConnections: 'idle' });
  apps.push(app);
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  await app.register(auditEventRoutes(() => async () => {}, { auditLog }, stallMillis));
  return { app, url: await app.listen({ host: '127.0.0.1', port: 0 }) };
}

/** A reader that takes the first bytes and then nothing. */
async function stalledReader(url: string, version = '1.1') {
  const socket = await openSocket(url);
  socket.on('error', () => {});
  socket.write(`GET ${path} HTTP/${version}\r\nhost: x\r\naccept: application/x-ndjson\r\n\r\n`);
  await once(socket, 'readable');
  return socket;
}

/** Once the number of queries has come to rest. */
async function untilSettled(count: () => number): Promise<number> {
  for (let before = -1; before !== count(); ) {
    before = count();
    await sleep(300);
  }
  return count();
}

describeSql('the export of the audit', (backend, name) => {
  test('holds each of 20,000 events once, the newest first, in bounded batches, and says that it is whole', async () => {
    await insertManyEvents(backend.database, rows);
    const log = observed(backend.stores.audit);
    const { url } = await serve(log);
    const started = performance.now();
    const lines = (await (await fetch(`${url}${path}`, { headers })).text()).trimEnd().split('\n');
    console.log(`${name}: ${rows} events exported in ${Math.round(performance.now() - started)} ms`);
    expect(JSON.parse(lines.pop() ?? '')).toEqual({ complete: true, events: rows });
    const events = lines.map((line) => JSON.parse(line));
    expect(new Set(events.map((event) => event.request_id)).size).toBe(rows);
    expect(events).toHaveLength(rows);
    const times = events.map((event) => event.at);
    expect(times).toEqual(times.toSorted().reverse());
    expect(log.longest()).toBe(exportBatch);
    expect(log.pages.every(({ limit }) => limit === exportBatch)).toBe(true);
  });

  test('is filtered, and whole also where nothing matches', async () => {
    await insertManyEvents(backend.database, 2_000);
    const { url } = await serve(backend.stores.audit);
    const read = async (query: string) =>
      (await (await fetch(`${url}${path}?${query}`, { headers })).text()).trimEnd().split('\n');
    const refused = await read('outcome=refused&since=2026-01-01T01:00:00%2B01:00');
    expect(refused.slice(0, -1).map((line) => JSON.parse(line).reason)).toEqual(
      Array.from({ length: 20 }, () => 'policy.no_grant'),
    );
    expect(await read('reason=none.such')).toEqual(['{"complete":true,"events":0}']);
  });

  test('waits for a slow reader, and asks for nothing more once the reader has left', async () => {
    await insertManyEvents(backend.database, rows);
    const log = observed(backend.stores.audit);
    const { url } = await serve(log);
    const socket = await stalledReader(url);
    const waiting = await untilSettled(() => log.pages.length);
    expect(waiting).toBeLessThan(rows / exportBatch / 2);
    socket.destroy();
    expect(await untilSettled(() => log.pages.length)).toBeLessThanOrEqual(waiting + 1);
  });

  test('cuts off a reader that takes nothing for too long, and every one when the server closes', async () => {
    await insertManyEvents(backend.database, rows);
    const log = observed(backend.stores.audit);
    const impatient = await serve(log, 200);
    const stalled = await stalledReader(impatient.url);
    await expect.poll(async () => await connections(impatient.app), patient).toBe(0);
    stalled.destroy();
    const closing = await serve(log);
    const reader = await stalledReader(closing.url);
    await closing.app.close(); // would wait for the reader for ever
    let text = '';
    for await (const part of reader) text += String(part);
    expect(text).toContain('200 OK');
    expect(text).not.toContain('"complete":true');
  });
});

function connections(app: FastifyInstance): Promise<number> {
  return new Promise((resolve, reject) =>
    app.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );
}

test('a PostgreSQL that dies in the middle breaks the export, by HTTP/1.1 and by its missing last line', async () => {
  const postgres = await startPostgres();
  const url = await postgres.createDatabase();
  const stores = await openPostgres({ url, clock: testClock() });
  try {
    await stores.migrate();
    const database = openPgDatabase({ url });
    await insertManyEvents(database, rows);
    await database.close();
    const served = await serve(stores.audit);
    const response = await fetch(`${served.url}${path}`, { headers });
    const old = await stalledReader(served.url, '1.0'); // as nginx speaks it, which has no way to tell
    await postgres.kill9();
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow('terminated');
    let text = '';
    for await (const part of old) text += String(part);
    expect(text).toContain('"request_id"');
    expect(text).not.toContain('"complete":true');
    const late = await fetch(`${served.url}${path}`, { headers });
    expect([late.status, late.headers.get('content-type')]).toEqual([503, 'application/json; charset=utf-8']); // nothing was sent yet, so the answer says it
    await postgres.restart();
    await expect
      .poll(async () => (await (await fetch(`${served.url}${path}`, { headers })).text()).slice(-40), patient)
      .toContain(`{"complete":true,"events":${rows}}`);
  } finally {
    await stores.close();
    await postgres.stop();
  }
});
