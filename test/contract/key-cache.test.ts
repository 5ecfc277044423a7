/** The contract of KeyCache. */
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { openFileKeyCache } from '../../src/adapters/data-dir/key-cache.ts';
import { openRedis } from '../../src/adapters/redis/open.ts';
import type { KeyCache } from '../../src/core/ports.ts';
import { describeSql, select, testClock } from './backends.ts';

type Open = () => Promise<KeyCache>;

function contract(open: Open, pass: (millis: number) => Promise<void>): void {
  test('gives back what was put, to another process too', async () => {
    const value = `{"text":"é\\n\\u0000 ${'x'.repeat(200_000)}"}\n`;
    await (await open()).put('["Issuer","a"]', value, 60);
    expect(await (await open()).get('["Issuer","a"]')).toBe(value);
    expect(await (await open()).get('["Issuer","b"]')).toBeUndefined();
  });

  test('keeps the value that was put last, and each name apart', async () => {
    const cache = await open();
    await cache.put('../one', 'first', 60);
    await cache.put('../one', 'second', 60);
    await cache.put('../two', '', 60);
    expect(await cache.get('../one')).toBe('second');
    expect(await cache.get('../two')).toBe('');
  });

  test('forgets a value when its time has passed', async () => {
    const cache = await open();
    await cache.put('brief', 'value', 1);
    await pass(400);
    expect(await cache.get('brief')).toBe('value');
    await pass(700);
    expect(await cache.get('brief')).toBeUndefined();
  });

  test('fifty writers at once leave one whole value', async () => {
    const cache = await open();
    const values = Array.from({ length: 50 }, (_, index) => `${index}`.repeat(10_000));
    await Promise.all(values.map((value) => cache.put('busy', value, 60)));
    expect(values).toContain(await cache.get('busy'));
  });
}

describe('key cache in the data folder', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'mintmark-key-cache-'));
  const folder = join(parent, 'key-cache');
  const clock = testClock();
  afterAll(() => rm(parent, { recursive: true }));
  contract(
    () => openFileKeyCache(folder, clock),
    async (millis) => clock.advance(millis),
  );

  test('writes files that only their owner may read, and leaves nothing else', async () => {
    const files = await readdir(folder);
    expect(files).toHaveLength(5);
    for (const file of files) {
      expect(file).toMatch(/^[0-9a-f]{64}$/);
      expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600);
    }
  });

  test('takes a file that was cut short for none', async () => {
    const cache = await openFileKeyCache(folder, clock);
    for (const file of await readdir(folder)) await writeFile(join(folder, file), '17');
    expect(await cache.get('busy')).toBeUndefined();
  });
});

describeSql('key cache', (backend) => {
  contract(
    async () => backend.replica().keyCache,
    async (millis) => backend.clock.advance(millis),
  );

  test('deletes what has expired with the next put', async () => {
    await backend.stores.keyCache.put('old', 'value', 1);
    backend.clock.advance(1001);
    await backend.stores.keyCache.put('new', 'value', 1);
    expect(await select(backend.database, 'select value from key_cache')).toHaveLength(1);
  });
});

const redisUrl = inject('redisUrl');
if (redisUrl !== undefined) {
  describe('key cache on Redis', async () => {
    const clock = { now: () => Date.now() };
    const replicas = await Promise.all([
      openRedis({ url: redisUrl, clock }),
      openRedis({ url: redisUrl, clock }),
    ]);
    let turn = 0;
    afterAll(() => Promise.all(replicas.map((replica) => replica.close())));
    contract(
      async () => (replicas[turn++ % 2] ?? replicas[0]).keyCache,
      async (millis) => void (await sleep(millis)),
    );

    test('rejects while Redis cannot be reached', async () => {
      const lost = await openRedis({ url: 'redis://127.0.0.1:1', clock });
      await expect(lost.keyCache.get('a')).rejects.toThrow();
      await expect(lost.keyCache.put('a', 'b', 1)).rejects.toThrow();
      await lost.close();
    });
  });
}
