/** Both rings' keys as last read, on disk: each comes back whole while the database is away, and never in the other's place. */
import { randomBytes } from 'node:crypto';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openLastKnown } from '../../src/adapters/data-dir/last-known.ts';
import { openSoftwareKeys } from '../../src/adapters/software-keys/open.ts';
import type { KeyStore } from '../../src/core/ports.ts';
import { Secret } from '../../src/core/secret.ts';
import { testKeyLife } from '../support/key-life.ts';
import { describeSql } from './backends.ts';

const keyEncryptionKey = new Secret<Uint8Array>(randomBytes(32));

describeSql('last known keys', (backend) => {
  let folder: string;
  let isAway: boolean;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mintmark-last-known-'));
    isAway = false;
  });
  afterEach(() => rm(folder, { recursive: true }));

  const reachable = (store: KeyStore): KeyStore => ({
    list: () => (isAway ? Promise.reject(new Error('away')) : store.list()),
    change: (plan) => (isAway ? Promise.reject(new Error('away')) : store.change(plan)),
  });
  const open = () =>
    openLastKnown({
      folder,
      keyEncryptionKey,
      stores: {
        policy: backend.stores.policy,
        keys: reachable(backend.stores.keys),
        svidKeys: reachable(backend.stores.svidKeys),
        revocations: backend.stores.revocations,
      },
      clock: backend.clock,
      log: () => undefined,
    });
  const ringsOf = async ({ keys, svidKeys }: Awaited<ReturnType<typeof open>>) => {
    const options = {
      keyEncryptionKey,
      clock: backend.clock,
      life: testKeyLife,
      algorithms: () => ['ES256'] as const,
    };
    return {
      ring: await openSoftwareKeys({ ...options, keyStore: keys, readAt: keys.readAt }),
      svidRing: await openSoftwareKeys({
        ...options,
        format: 'jwt-svid',
        keyStore: svidKeys,
        readAt: svidKeys.readAt,
      }),
    };
  };

  /** Keys are kept as they are read, which a new ring does once more after it made them. */
  async function madeRings() {
    const rings = await ringsOf(await open());
    await Promise.all([rings.ring.refresh(), rings.svidRing.refresh()]);
    return rings;
  }

  test('both rings sign with the same keys, and the bundle keeps its sequence', async () => {
    const before = await madeRings();
    isAway = true;
    const after = await vi.waitFor(async () => {
      const rings = await ringsOf(await open()); // kept in the background
      expect(rings.svidRing.publicKeys()).toHaveLength(2);
      return rings;
    });
    expect(after.ring.publicKeys()).toEqual(before.ring.publicKeys());
    expect(after.svidRing.publicKeys()).toEqual(before.svidRing.publicKeys());
    expect(after.svidRing.signer().kid).toBe(before.svidRing.signer().kid);
    expect(after.svidRing.list().map(({ sequence }) => sequence)).toEqual([
      backend.clock.now(),
      backend.clock.now(),
    ]);
  });

  test('a file in the place of the other is not read', async () => {
    await madeRings();
    isAway = true;
    const known = await vi.waitFor(async () => {
      const opened = await open();
      expect(await opened.keys.list()).toHaveLength(2);
      expect(await opened.svidKeys.list()).toHaveLength(2);
      return opened;
    });
    await copyFile(join(folder, 'keys.json'), join(folder, 'svid-keys.json'));
    await expect(known.svidKeys.list()).rejects.toThrow('is not as this installation wrote it');
    expect(await known.keys.list()).toHaveLength(2);
  });
});
