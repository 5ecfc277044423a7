/** A token that is lost, hangs, is asked too much or does not let us in: no signature is waited for for ever, and it comes back. */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openTokenKeys } from '../../src/adapters/pkcs11/open.ts';
import { openTokenQueue, type TokenQueue, tokenQueueLimits } from '../../src/adapters/pkcs11/token-queue.ts';
import { testKeyLife } from '../support/key-life.ts';
import { eventually } from '../support/processes.ts';
import { makeSoftHsm, type SoftHsm, tokenProcesses } from '../support/softhsm.ts';
import { describeSql } from './backends.ts';

const key = { label: 'mintmark test', id: 'ES256-key', algorithm: 'ES256' } as const;
const order = { ...key, input: Buffer.from('header.payload') };
const quick = { ...tokenQueueLimits, firstRetryMillis: 50, lastRetryMillis: 200 };
const signatures = { ES256: 64, RS256: 384, EdDSA: 64 } as const;

describe('a token that is lost', () => {
  let hsm: SoftHsm;
  let logged: string[];
  const queues: TokenQueue[] = [];
  const open = async (limits = quick, settings = hsm.settings) => {
    const queue = await openTokenQueue(
      settings,
      (message, details) => logged.push(message, JSON.stringify(details)),
      limits,
    );
    queues.push(queue);
    return queue;
  };
  beforeEach(async () => {
    logged = [];
    hsm = await makeSoftHsm();
  });
  afterEach(async () => {
    await Promise.all(queues.splice(0).map((queue) => queue.close()));
    hsm.remove();
  });

  test('fails closed while it is away, says so, and comes back by itself', async () => {
    const queue = await open();
    await queue.make(key);
    expect(await queue.sign(order)).toHaveLength(64);
    hsm.unplug();
    for (const pid of tokenProcesses()) process.kill(pid, 'SIGKILL');
    await eventually(async () =>
      expect(queue.problem()?.message).toBe('no token with the label "mintmark-test" is present'),
    );
    const askedAt = performance.now();
    await expect(queue.sign(order)).rejects.toThrow('no token with the label');
    expect(performance.now() - askedAt).toBeLessThan(100);
    hsm.plugIn();
    await eventually(async () => expect(await queue.sign(order)).toHaveLength(64));
    expect(queue.problem()).toBeUndefined();
    expect(logged).toContain('the PKCS #11 token is back');
  });

  test('taken away and put back under load, it signs again, and each call was answered', async () => {
    const queue = await open({ ...quick, signMillis: 2000 });
    await queue.make(key);
    const counts = { signed: 0, refused: 0, slowestMillis: 0 };
    let isOver = false;
    const load = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        const askedAt = performance.now();
        const outcome = await queue.sign(order).then(
          () => 'signed' as const,
          () => 'refused' as const,
        );
        counts[outcome]++;
        counts.slowestMillis = Math.max(counts.slowestMillis, performance.now() - askedAt);
        if (outcome === 'refused') await sleep(20);
      }
    });
    await sleep(500);
    hsm.unplug();
    await eventually(async () => expect(counts.refused).toBeGreaterThan(0));
    const refused = counts.signed;
    await sleep(500);
    expect(counts.signed).toBe(refused);
    hsm.plugIn();
    await eventually(async () => expect(counts.signed).toBeGreaterThan(refused + 50));
    isOver = true;
    await Promise.all(load);
    expect(counts.slowestMillis).toBeLessThan(3000);
  });

  test('replaced by an empty one of the same name, it signs nothing', async () => {
    const queue = await open();
    await queue.make(key);
    await queue.sign(order);
    await hsm.replace();
    await eventually(async () => await expect(queue.sign(order)).rejects.toThrow());
    for (const pid of tokenProcesses()) process.kill(pid, 'SIGKILL');
    await eventually(async () => await expect(queue.sign(order)).rejects.toThrow('is not in the token'));
    await queue.make(key); // the token itself is well
    expect(await queue.sign(order)).toHaveLength(64);
  });

  test('its process killed under load costs no signature, once it has been up for a while', async () => {
    const queue = await open();
    await queue.make(key);
    await sleep(10_000);
    const signing = Promise.all(Array.from({ length: 200 }, () => queue.sign(order)));
    for (const pid of tokenProcesses()) process.kill(pid, 'SIGKILL');
    expect((await signing).filter(({ length }) => length === 64)).toHaveLength(200);
  });

  test('one that hangs is given up in time, and no more calls wait than may', async () => {
    const queue = await open({ ...quick, maxWaiting: 5, signMillis: 700 });
    await queue.make(key);
    const [pid] = tokenProcesses();
    process.kill(pid ?? 0, 'SIGSTOP');
    const askedAt = performance.now();
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () =>
        queue.sign(order).then(String, (error: Error) => `${error.name} ${error.message}`),
      ),
    );
    expect(performance.now() - askedAt).toBeLessThan(2000);
    const overloaded = outcomes.filter((text) => text.includes('server.overloaded'));
    expect(overloaded).toHaveLength(20 - 5 - hsm.settings.sessions);
    expect(outcomes.filter((text) => text.startsWith('TokenError'))).toHaveLength(5 + hsm.settings.sessions);
    await eventually(async () => expect(await queue.sign(order)).toHaveLength(64));
    expect(tokenProcesses()).not.toContain(pid);
  });

  test('a wrong PIN is said at once, and is never tried twice', async () => {
    writeFileSync(hsm.settings.pinFile, '1111\n');
    await expect(open()).rejects.toThrow('the token does not accept the PIN (CKR_PIN_INCORRECT)');
    writeFileSync(hsm.settings.pinFile, `${hsm.pin}\n`);
    const queue = await open();
    await queue.make(key);
    writeFileSync(hsm.settings.pinFile, '22222222\n');
    for (const pid of tokenProcesses()) process.kill(pid, 'SIGKILL');
    await eventually(async () => expect(queue.problem()?.problem).toBe('refused'));
    const seen = new Set<number>();
    for (let looks = 0; looks < 60; looks++) {
      for (const pid of tokenProcesses()) seen.add(pid);
      await sleep(10);
    }
    expect([...seen]).toEqual([]); // no process was started to try it again
    writeFileSync(hsm.settings.pinFile, `${hsm.pin}\n`);
    await eventually(async () => expect(await queue.sign(order)).toHaveLength(64));
    expect(logged.join()).not.toMatch(new RegExp(`22222222|${hsm.pin}`));
  });

  test.each([
    ['no such token', { tokenLabel: 'another' }, 'no token with the label "another" is present'],
    ['no library', { module: '/etc/passwd' }, 'cannot be used as a PKCS #11 library'],
    ['no PIN file', { pinFile: '/nowhere/pin' }, 'the file of the PIN cannot be read (ENOENT)'],
  ])('%s: the start says so', async (_name, change, sentence) => {
    await expect(open(quick, { ...hsm.settings, ...change })).rejects.toThrow(sentence);
    expect(tokenProcesses()).toEqual([]);
    await expect(open()).resolves.toBeDefined();
  });

  test('nothing is left running after it was closed', async () => {
    const queue = await open();
    expect(tokenProcesses()).toHaveLength(1);
    await queue.close();
    expect(tokenProcesses()).toEqual([]);
    await expect(queue.sign(order)).rejects.toThrow('closed');
  });

  describeSql('replicas that share it', (backend) => {
    test('each in a process of its own, they sign with one key and take over each other’s', async () => {
      const algorithms = ['ES256', 'RS256', 'EdDSA'] as const;
      const tokens = await Promise.all([open(), open(), open()]);
      const rings = await Promise.all(
        tokens.map((token) =>
          openTokenKeys({
            keyStore: backend.replica().keys,
            clock: backend.clock,
            life: testKeyLife,
            algorithms: () => algorithms,
            token,
            label: 'mintmark replicas',
            log: () => {},
          }),
        ),
      );
      expect(tokenProcesses()).toHaveLength(3);
      for (let turns = 0; turns < 3; turns++) {
        backend.clock.advance(1000);
        await rings[turns]?.rotate(true);
        for (const ring of rings) await ring.refresh();
        for (const algorithm of algorithms) {
          expect(new Set(rings.map((ring) => ring.signer(algorithm).kid)).size).toBe(1);
          const made = await Promise.all(rings.map((ring) => ring.signer(algorithm).sign(order.input)));
          expect(made.map(({ length }) => length)).toEqual(Array(3).fill(signatures[algorithm]));
        }
      }
      expect(rings[0]?.publicKeys()).toEqual(rings[2]?.publicKeys());
    });
  });
});
