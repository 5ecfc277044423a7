/** The contract of RateCounter. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { memoryRateCounter } from '../../src/adapters/memory/rate-counter.ts';
import { openRedis } from '../../src/adapters/redis/open.ts';
import type { RateCounter } from '../../src/core/ports.ts';
import { testClock } from './backends.ts';

function contract(counter: RateCounter, pass: (millis: number) => Promise<void>): void {
  test('counts each key by itself', async () => {
    expect(await counter.increment('192.0.2.1', 60)).toBe(1);
    expect(await counter.increment('192.0.2.1', 60)).toBe(2);
    expect(await counter.increment('192.0.2.2', 60)).toBe(1);
    expect(await counter.increment('192.0.2.1', 60)).toBe(3);
  });

  test('a hundred at once are a hundred', async () => {
    const counts = await Promise.all(Array.from({ length: 100 }, () => counter.increment('busy', 60)));
    expect(new Set(counts)).toEqual(new Set(Array.from({ length: 100 }, (_, index) => index + 1)));
  });

  test('begins anew after the window, which later counts do not lengthen', async () => {
    expect(await counter.increment('window', 1)).toBe(1);
    await pass(600);
    expect(await counter.increment('window', 1)).toBe(2);
    await pass(600);
    expect(await counter.increment('window', 1)).toBe(1);
  });
}

describe('rate counter in memory', () => {
  const clock = testClock();
  contract(memoryRateCounter(clock), async (millis) => clock.advance(millis));

  test('past its bound, forgets the window that began first', async () => {
    const small = memoryRateCounter(clock, 2);
    await small.increment('first', 60);
    await small.increment('second', 60);
    await small.increment('first', 60);
    await small.increment('third', 60);
    expect(await small.increment('second', 60)).toBe(2);
    expect(await small.increment('first', 60)).toBe(1);
  });
});

const redisUrl = inject('redisUrl');
if (redisUrl !== undefined) {
  describe('rate counter on Redis', async () => {
    const stores = await openRedis({ url: redisUrl, clock: { now: () => Date.now() } });
    afterAll(() => stores.close());
    contract(stores.rateCounter, (millis) => sleep(millis));
  });
}
