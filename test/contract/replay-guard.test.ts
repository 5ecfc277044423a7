/** The contract of ReplayGuard. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { openRedis } from '../../src/adapters/redis/open.ts';
import type { ReplayGuard } from '../../src/core/ports.ts';
import { startRedis } from '../support/redis.ts';
import { describeSql, select } from './backends.ts';

interface Subject {
  readonly guard: ReplayGuard;
  now(): number;
  /** Lets the time pass: by moving the clock, or, where the server has its own, by waiting. */
  pass(millis: number): Promise<void>;
}

function contract(subject: Subject): void {
  const inAMinute = () => subject.now() + 60_000;

  test('the first claim succeeds, later ones do not', async () => {
    expect(await subject.guard.claim('first', inAMinute())).toBe(true);
    expect(await subject.guard.claim('first', inAMinute())).toBe(false);
    expect(await subject.guard.claim('first', inAMinute() + 60_000)).toBe(false);
  });

  test('keys are distinct, whatever they hold', async () => {
    for (const key of ['a', 'A', 'a ', '', 'a\u0000b', 'a\u0000c', 'x'.repeat(100_000)]) {
      expect(await subject.guard.claim(key, inAMinute())).toBe(true);
    }
  });

  test('of a hundred claims at once one succeeds', async () => {
    const expiresAt = inAMinute();
    const claims = await Promise.all(
      Array.from({ length: 100 }, () => subject.guard.claim('contested', expiresAt)),
    );
    expect(claims.filter((claimed) => claimed)).toHaveLength(1);
  });

  test('a claim may be made again once it has expired, not before', async () => {
    expect(await subject.guard.claim('short', subject.now() + 400)).toBe(true);
    expect(await subject.guard.claim('short', inAMinute())).toBe(false);
    await subject.pass(450);
    expect(await subject.guard.claim('short', inAMinute())).toBe(true);
    expect(await subject.guard.claim('short', inAMinute())).toBe(false);
  });

  test('what has expired already cannot be claimed, nor what never does', async () => {
    for (const expiresAt of [subject.now(), subject.now() - 1, Number.NaN]) {
      expect(await subject.guard.claim('late', expiresAt)).toBe(false);
    }
    expect(await subject.guard.claim('late', inAMinute())).toBe(true);
  });
}

describeSql('replay guard', (backend) => {
  contract({
    get guard() {
      return backend.stores.replayGuard;
    },
    now: () => backend.clock.now(),
    pass: async (millis) => backend.clock.advance(millis),
  });

  test('keeps no key, and forgets claims some minutes after they expired', async () => {
    const { stores, clock, database } = backend;
    await stores.replayGuard.claim('secret-jti', clock.now() + 1_000);
    const rows = () => select<{ key_hash: Uint8Array }>(database, 'select key_hash from replay_claims');
    const [row] = await rows();
    expect(row?.key_hash).toHaveLength(32);
    expect(Buffer.from(row?.key_hash ?? '').toString('latin1')).not.toContain('secret');
    clock.advance(120_000);
    await stores.replayGuard.claim('another', clock.now() + 60_000_000);
    expect(await rows()).toHaveLength(2);
    clock.advance(600_000);
    await stores.replayGuard.claim('a third', clock.now() + 60_000_000);
    await expect.poll(rows).toHaveLength(2);
  });
});

const redisUrl = inject('redisUrl');
if (redisUrl !== undefined) {
  describe('replay guard on Redis', async () => {
    const clock = { now: () => Date.now() };
    const stores = await openRedis({ url: redisUrl, clock });
    const other = await openRedis({ url: redisUrl, clock });
    afterAll(() => Promise.all([stores.close(), other.close()]));
    contract({ guard: stores.replayGuard, now: clock.now, pass: (millis) => sleep(millis) });

    test('replicas share claims', async () => {
      expect(await stores.replayGuard.claim('shared', clock.now() + 60_000)).toBe(true);
      expect(await other.replayGuard.claim('shared', clock.now() + 60_000)).toBe(false);
    });

    test('a replica whose clock is behind finds a claim that is over by the other clock', async () => {
      const behind = await openRedis({ url: redisUrl, clock: { now: () => clock.now() - 5_000 } });
      const expiresAt = clock.now() + 100;
      expect(await stores.replayGuard.claim('skewed', expiresAt)).toBe(true);
      await sleep(200);
      expect(await behind.replayGuard.claim('skewed', expiresAt)).toBe(false);
      expect(await stores.replayGuard.claim('skewed', clock.now() + 100)).toBe(true);
      await behind.close();
    });
  });

  test('Redis killed: a claim throws at once, and works again when Redis is back', async () => {
    const redis = await startRedis();
    const losses: unknown[] = [];
    const stores = await openRedis({
      url: redis.url,
      clock: { now: () => Date.now() },
      onBackgroundError: (error) => losses.push(error),
    });
    const claim = (key: string) => stores.replayGuard.claim(key, Date.now() + 60_000);
    expect(await claim('before')).toBe(true);
    await redis.kill9();
    for (const key of ['during', 'before']) {
      await expect(claim(key)).rejects.toMatchObject({ reason: 'server.replay_guard_unavailable' });
    }
    await expect(stores.rateCounter.increment('during', 60)).rejects.toThrow();
    await expect(stores.ping()).rejects.toThrow();
    await expect.poll(() => losses.length).toBeGreaterThan(0);
    await redis.restart();
    await expect.poll(() => claim('after').catch(() => undefined), { timeout: 10_000 }).toBe(true);
    await stores.close();
    await redis.stop();
  });

  test('Redis down from the start is no reason not to open', async () => {
    const redis = await startRedis();
    await redis.kill9();
    const stores = await openRedis({ url: redis.url, clock: { now: () => Date.now() } });
    const claim = () => stores.replayGuard.claim('key', Date.now() + 60_000);
    await expect(claim()).rejects.toMatchObject({ reason: 'server.replay_guard_unavailable' });
    await redis.restart();
    await expect.poll(() => claim().catch(() => undefined), { timeout: 10_000 }).toBe(true);
    await stores.close();
    await redis.stop();
  });
}
