/** The contract of TokenCache, and replicas that share tokens through it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { memoryTokenCache } from '../../src/adapters/memory/token-cache.ts';
import { openRedis, type RedisStores } from '../../src/adapters/redis/open.ts';
import { createMintOrReuse } from '../../src/core/mint-or-reuse.ts';
import type { TokenCache } from '../../src/core/ports.ts';
import { Secret } from '../../src/core/secret.ts';
import { draftAccessToken } from '../../src/core/token.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { countingSigner, exampleOrder } from '../support/token-drafts.ts';
import { testClock } from './backends.ts';

const everyByte = Uint8Array.from({ length: 256 }, (_, index) => index);

function contract(open: () => TokenCache, pass: (millis: number) => Promise<void>): void {
  test('gives back the bytes that were put, to another replica too', async () => {
    await open().put('bytes', everyByte, 60);
    expect(Buffer.from((await open().get('bytes')) ?? [])).toEqual(Buffer.from(everyByte));
    expect(await open().get('other')).toBeUndefined();
  });

  test('keeps the bytes that were put last, and each name apart', async () => {
    await open().put('one', Buffer.from('first'), 60);
    await open().put('one', Buffer.from('second'), 60);
    await open().put('two', Buffer.from('third'), 60);
    expect(Buffer.from((await open().get('one')) ?? []).toString()).toBe('second');
    expect(Buffer.from((await open().get('two')) ?? []).toString()).toBe('third');
  });

  test('forgets them when their time has passed, not before', async () => {
    await open().put('brief', everyByte, 0.6);
    await pass(300);
    expect(await open().get('brief')).toHaveLength(256);
    await pass(400);
    expect(await open().get('brief')).toBeUndefined();
  });

  test('fifty writers at once leave one whole value', async () => {
    const values = Array.from({ length: 50 }, (_, index) => Buffer.alloc(5_000, index));
    await Promise.all(values.map((value) => open().put('busy', value, 60)));
    const left = Buffer.from((await open().get('busy')) ?? []);
    expect(values.some((value) => value.equals(left))).toBe(true);
  });
}

describe('token cache in memory', () => {
  const clock = testClock();
  const cache = memoryTokenCache(clock);
  contract(
    () => cache,
    async (millis) => clock.advance(millis),
  );

  test('past its bound, forgets what was put first', async () => {
    const small = memoryTokenCache(clock, 2);
    for (const name of ['first', 'second', 'first', 'third']) await small.put(name, everyByte, 60);
    expect(await small.get('second')).toBeUndefined();
    expect(await small.get('first')).toHaveLength(256);
    expect(await small.get('third')).toHaveLength(256);
  });
});

const keyEncryptionKey = new Secret(new Uint8Array(32).fill(7));

/** A replica with a memory of its own, on the Redis that all share. */
function replicaOn(redis: RedisStores, kek = keyEncryptionKey) {
  const clock = { now: () => Date.now() };
  const caches = [memoryTokenCache(clock), redis.tokenCache];
  const mintOrReuse = createMintOrReuse({ keyEncryptionKey: kek, caches });
  return (signer: ReturnType<typeof countingSigner>, audience: string) => {
    const nowMillis = Date.now();
    const draft = draftAccessToken(signer, { ...exampleOrder, audience, nowMillis });
    return mintOrReuse(signer, draft, {
      minRemainingSeconds: 120,
      policyRevision: 1,
      revocationEpoch: 0,
      nowMillis,
    });
  };
}

const redisUrl = inject('redisUrl');
if (redisUrl !== undefined) {
  const clock = { now: () => Date.now() };

  describe('token cache on Redis', async () => {
    const replicas = await Promise.all([
      openRedis({ url: redisUrl, clock }),
      openRedis({ url: redisUrl, clock }),
    ]);
    let turn = 0;
    afterAll(() => Promise.all(replicas.map((replica) => replica.close())));
    contract(
      () => (replicas[turn++ % 2] ?? replicas[0]).tokenCache,
      async (millis) => void (await sleep(millis)),
    );

    test('lets two replicas make one signature for all who ask for the same', async () => {
      const signer = countingSigner();
      const mints = replicas.map((redis) => replicaOn(redis));
      const [first] = await Promise.all(
        Array.from({ length: 50 }, () => mints[0]?.(signer, 'shared') ?? expect.unreachable()),
      );
      const others = await Promise.all(
        Array.from({ length: 50 }, () => mints[1]?.(signer, 'shared') ?? expect.unreachable()),
      );
      expect(signer.count()).toBe(1);
      expect(new Set(others.map(({ accessToken }) => accessToken.reveal()))).toEqual(
        new Set([first?.accessToken.reveal()]),
      );
      expect(others.every(({ isReused }) => isReused)).toBe(true);
    });

    test('shares nothing with an installation that has another key-encryption key', async () => {
      const signer = countingSigner();
      const [ours, theirs] = [
        replicaOn(replicas[0]),
        replicaOn(replicas[1], new Secret(new Uint8Array(32).fill(8))),
      ];
      expect((await ours(signer, 'foreign')).jti).not.toBe((await theirs(signer, 'foreign')).jti);
      expect(signer.count()).toBe(2);
    });
  });

  describe('tokens in a Redis of our own', () => {
    let server: RedisServer;
    let redis: RedisStores;
    let reader: Redis;
    beforeAll(async () => {
      server = await startRedis();
      redis = await openRedis({ url: server.url, clock });
      reader = new Redis(server.url);
      reader.on('error', () => {});
    });
    afterAll(async () => {
      reader.disconnect();
      await redis.close();
      await server.stop();
    });

    test('are no tokens to whoever reads all of it, nor last longer than they are of use', async () => {
      const tokens = await Promise.all(
        ['canary-one', 'canary-two'].map((audience) => replicaOn(redis)(countingSigner(), audience)),
      );
      const names = await reader.keys('*');
      expect(names).toHaveLength(2);
      for (const name of names) {
        const text = `${name}${(await reader.getBuffer(name))?.toString('latin1')}`;
        expect(text.length).toBeGreaterThan(400);
        for (const { accessToken, jti } of tokens) {
          for (const part of accessToken.reveal().split('.')) expect(text).not.toContain(part);
          expect(text).not.toContain(jti);
        }
        expect(text).not.toMatch(/canary|spiffe|acme|eyJ/);
        const left = await reader.pttl(name);
        expect(left).toBeGreaterThan(470_000);
        expect(left).toBeLessThanOrEqual(481_000);
      }
    });

    test('that were tampered with are signed anew', async () => {
      const signer = countingSigner();
      const first = await replicaOn(redis)(signer, 'tampered');
      for (const name of await reader.keys('*')) {
        const sealed = (await reader.getBuffer(name)) ?? expect.unreachable();
        sealed[sealed.length - 1] = (sealed.at(-1) ?? 0) ^ 1;
        await reader.set(name, sealed, 'KEEPTTL');
      }
      const second = await replicaOn(redis)(signer, 'tampered');
      expect(second.jti).not.toBe(first.jti);
      expect((await replicaOn(redis)(signer, 'tampered')).jti).toBe(second.jti);
      expect(signer.count()).toBe(2);
    });

    test('are signed after a short wait while it hangs, and found again when it answers', async () => {
      const signer = countingSigner();
      const before = await replicaOn(redis)(signer, 'paused');
      server.pause();
      const waits = [];
      for (let times = 0; times < 5; times++) {
        const startedAt = performance.now();
        expect((await replicaOn(redis)(signer, 'paused')).jti).not.toBe(before.jti);
        waits.push(performance.now() - startedAt);
      }
      server.resume();
      expect(Math.max(...waits)).toBeGreaterThan(40);
      expect(waits.toSorted((a, b) => a - b)[2]).toBeLessThan(200);
      await expect
        .poll(async () => (await replicaOn(redis)(signer, 'paused')).jti, { timeout: 10_000 })
        .toBe(before.jti);
    });

    test('are signed at once while it is gone, and kept again when it is back', async () => {
      const signer = countingSigner();
      const mint = replicaOn(redis);
      const before = await mint(signer, 'killed');
      await server.kill9();
      await expect(redis.tokenCache.get('a')).rejects.toThrow();
      await expect(redis.tokenCache.put('a', everyByte, 1)).rejects.toThrow();
      expect((await mint(signer, 'killed')).jti).toBe(before.jti); // from its own memory
      expect((await replicaOn(redis)(signer, 'killed')).jti).not.toBe(before.jti);
      await server.restart();
      await expect
        .poll(
          async () => {
            const [one, two] = [
              await replicaOn(redis)(signer, 'back'),
              await replicaOn(redis)(signer, 'back'),
            ];
            return one.jti === two.jti;
          },
          { timeout: 10_000 },
        )
        .toBe(true);
    });
  });
}
