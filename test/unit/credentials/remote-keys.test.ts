import { describe, expect, it } from 'vitest';
import type { KeySet } from '../../../src/credentials/jwk.ts';
import { openRemoteKeys } from '../../../src/credentials/remote-keys.ts';

const keySet = (...kids: string[]): KeySet => ({
  keys: kids.map((kid) => ({
    kid,
    algorithms: ['ES256'],
    fingerprint: kid,
    cryptoKey: () => Promise.reject(new Error('unused')),
  })),
  refused: new Map(),
});

/** Remote keys by a clock that the test moves; `publish` says what the next fetches give. */
function open(serveStaleSeconds = 3600, freshForSeconds = 300) {
  let now = 1_000_000;
  let fetches = 0;
  let published: KeySet | undefined = keySet('a');
  const failures: unknown[] = [];
  const remote = openRemoteKeys({
    label: 'Issuer test',
    clock: { now: () => now },
    serveStaleSeconds,
    onFailure: (error) => failures.push(error),
    fetch: async () => {
      fetches += 1;
      if (published === undefined) throw new Error('refused connection');
      return { keys: published, freshForSeconds };
    },
  });
  return {
    remote,
    failures,
    kids: async () => (await remote.keys()).keys.map(({ kid }) => kid),
    kidsAfterMiss: async (kid: string) => (await remote.keysAfterMiss(kid)).keys.map((key) => key.kid),
    fetches: () => fetches,
    publish: (keys: KeySet | undefined) => {
      published = keys;
    },
    pass: (seconds: number) => {
      now += seconds * 1000;
    },
    settle: () => new Promise((resolve) => setImmediate(resolve)),
  };
}

describe('remote keys', () => {
  it('fetches once for any number of first callers', async () => {
    const { kids, fetches } = open();
    expect(await Promise.all([kids(), kids(), kids()])).toEqual([['a'], ['a'], ['a']]);
    expect(fetches()).toBe(1);
  });

  it('gives keys in force without a promise, and without a fetch', async () => {
    const { remote, kids, fetches } = open();
    await kids();
    for (let use = 0; use < 100; use++) expect(remote.keys()).not.toBeInstanceOf(Promise);
    expect(fetches()).toBe(1);
  });

  it('refreshes ahead of expiry, in the background, once', async () => {
    const { remote, kids, pass, publish, settle, fetches } = open();
    await kids();
    publish(keySet('b'));
    pass(239);
    expect(await kids()).toEqual(['a']);
    expect(fetches()).toBe(1);
    pass(1);
    expect(remote.keys()).toMatchObject({ keys: [{ kid: 'a' }] });
    expect(remote.keys()).toMatchObject({ keys: [{ kid: 'a' }] });
    await settle();
    expect(remote.keys()).toMatchObject({ keys: [{ kid: 'b' }] });
    expect(fetches()).toBe(2);
  });

  it('lets emptied keys count at once', async () => {
    const { remote, kids, pass, publish, settle } = open();
    await kids();
    publish(keySet());
    pass(240);
    remote.refreshIfDue();
    await settle();
    expect(await kids()).toEqual([]);
  });

  it('serves stale keys for the time of grace after the last good fetch, then refuses', async () => {
    const { kids, pass, publish, settle } = open(3600);
    await kids();
    publish(undefined);
    pass(3599);
    expect(await kids()).toEqual(['a']);
    await settle();
    pass(1);
    await expect(kids()).rejects.toMatchObject({
      reason: 'credential.keys_unavailable',
      detail: 'Issuer test: the last good keys are too old',
    });
    publish(keySet('b'));
    pass(60);
    expect(await kids()).toEqual(['b']);
  });

  it('refreshes within half the time of grace, however long the keys say that they are fresh', async () => {
    const { remote, kids, pass, settle, fetches } = open(100, 86_400);
    await kids();
    pass(40);
    remote.refreshIfDue();
    await settle();
    expect(fetches()).toBe(2);
  });

  it('refuses a first use when nothing can be fetched, and waits longer after each failure', async () => {
    const { kids, pass, publish, fetches, failures } = open();
    publish(undefined);
    await expect(kids()).rejects.toMatchObject({ reason: 'credential.keys_unavailable' });
    await expect(kids()).rejects.toMatchObject({ reason: 'credential.keys_unavailable' });
    expect(fetches()).toBe(1);
    pass(1);
    await expect(kids()).rejects.toMatchObject({ reason: 'credential.keys_unavailable' });
    pass(1);
    await expect(kids()).rejects.toMatchObject({ reason: 'credential.keys_unavailable' });
    expect(fetches()).toBe(2);
    pass(1);
    publish(keySet('a'));
    expect(await kids()).toEqual(['a']);
    expect(failures).toHaveLength(2);
  });

  it('fetches again at once for the first unknown kid, so that a rotation is seen', async () => {
    const { kids, kidsAfterMiss, publish, fetches } = open();
    await kids();
    publish(keySet('b'));
    expect(await kidsAfterMiss('b')).toEqual(['b']);
    expect(fetches()).toBe(2);
  });

  it('fetches at most once in 60 s for unknown kids, whichever they are', async () => {
    const { kids, kidsAfterMiss, pass, fetches } = open();
    await kids();
    await kidsAfterMiss('made-up-0');
    expect(fetches()).toBe(2);
    for (let index = 0; index < 50; index++) await kidsAfterMiss(`made-up-${index}`);
    expect(fetches()).toBe(2);
    pass(60);
    await kidsAfterMiss('made-up-99');
    expect(fetches()).toBe(3);
  });

  it('shares one flight among callers with unknown kids', async () => {
    const { kids, kidsAfterMiss, publish, fetches } = open();
    await kids();
    publish(keySet('b'));
    const seen = await Promise.all([kidsAfterMiss('b'), kidsAfterMiss('b'), kidsAfterMiss('b')]);
    expect(seen).toEqual([['b'], ['b'], ['b']]);
    expect(fetches()).toBe(2);
  });

  it('keeps the keys in force when a fetch for an unknown kid fails', async () => {
    const { kids, kidsAfterMiss, publish } = open();
    await kids();
    publish(undefined);
    expect(await kidsAfterMiss('x')).toEqual(['a']);
  });

  it('fetches nothing once it is closed', async () => {
    const { remote, fetches, settle } = open();
    remote.close();
    remote.refreshIfDue();
    await settle();
    expect(fetches()).toBe(0);
    await expect(remote.keys()).rejects.toMatchObject({ reason: 'credential.keys_unavailable' });
  });
});
