/** PGlite: what an append promised is there after the process was killed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openPglite } from '../../src/adapters/postgres/open.ts';
import { testClock } from './backends.ts';

test('every append that resolved outlives kill -9', { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mintmark-pglite-'));
  const dataDir = join(folder, 'pglite');
  const started = performance.now();
  const writer = spawn(process.execPath, [join(import.meta.dirname, 'pglite-writer.ts'), dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  writer.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (output === '')
      console.log(`PGlite: new folder to first append ${Math.round(performance.now() - started)} ms`);
    output += text;
    if (output.length > 200 * 37) writer.kill('SIGKILL');
  });
  await once(writer, 'close');
  expect(writer.signalCode).toBe('SIGKILL');
  const durable = output.split('\n').slice(0, -1);
  expect(durable.length).toBeGreaterThanOrEqual(200);

  const reopened = performance.now();
  const stores = await openPglite({ dataDir, clock: testClock() });
  console.log(`PGlite: reopened after kill -9 in ${Math.round(performance.now() - reopened)} ms`);
  await stores.requireMigrated();
  for (const requestId of durable) expect(await stores.audit.find(requestId)).toMatchObject({ requestId });
  await stores.close();
  expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
  await rm(folder, { recursive: true });
});
