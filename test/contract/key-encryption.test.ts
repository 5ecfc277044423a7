/** Another key-encryption key takes the place of the one before, while replicas with either go on signing. */
import { randomBytes } from 'node:crypto';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { expect, test } from 'vitest';
import { openSoftwareKeys } from '../../src/adapters/software-keys/open.ts';
import type { KeyStore, TurningKeyRing } from '../../src/core/ports.ts';
import { Secret } from '../../src/core/secret.ts';
import { testKeyLife } from '../support/key-life.ts';
import { describeSql, select } from './backends.ts';

const newKey = () => new Secret<Uint8Array>(randomBytes(32));
const removable = expect.stringContaining('no stored signing key needs MINTMARK_PREVIOUS_KEY_ENCRYPTION_KEY');

describeSql('key encryption', (backend) => {
  const said: string[] = [];
  const open = (
    keyEncryptionKey: Secret<Uint8Array>,
    previousKeyEncryptionKey?: Secret<Uint8Array>,
    keyStore: KeyStore = backend.replica().keys,
  ) =>
    openSoftwareKeys({
      keyStore,
      keyEncryptionKey,
      previousKeyEncryptionKey,
      log: (message) => said.push(message),
      clock: backend.clock,
      life: testKeyLife,
      algorithms: () => ['ES256', 'RS256'],
    });

  /** Each replica's token verifies against the key set of each. */
  async function expectExchange(...rings: readonly TurningKeyRing[]): Promise<void> {
    for (const { signer } of rings) {
      const { kid, algorithm, sign } = signer('ES256');
      const header = Buffer.from(JSON.stringify({ alg: algorithm, kid })).toString('base64url');
      const signature = Buffer.from(await sign(Buffer.from(`${header}.e30`))).toString('base64url');
      for (const { publicKeys } of rings) {
        const keys = createLocalJWKSet({ keys: publicKeys().map((jwk) => ({ ...jwk })) });
        await jwtVerify(`${header}.e30.${signature}`, keys);
      }
    }
  }

  test('stored keys are opened with the previous key and wrapped under the new one, all at once', async () => {
    said.length = 0;
    const [old, next] = [newKey(), newKey()];
    const before = await open(old);
    expect(said).toEqual([]);
    const after = await open(next, old);
    expect(said).toEqual([removable]);
    expect(after.publicKeys()).toEqual(before.publicKeys());
    await expectExchange(before, after);
    const alone = await open(next);
    expect(alone.publicKeys()).toEqual(before.publicKeys());
    await expectExchange(before, after, alone);
    await expect(open(old)).rejects.toThrow('does not decrypt: MINTMARK_KEY_ENCRYPTION_KEY is not the one');
    await after.refresh();
    expect(said).toHaveLength(1);
  });

  test('a replica that meets keys it cannot open keeps its ring and says so, until it gets the new key', async () => {
    const [old, next] = [newKey(), newKey()];
    const behind = await open(old);
    const before = behind.publicKeys();
    const ahead = await open(next, old);
    await expect(behind.refresh()).rejects.toThrow('does not decrypt');
    expect(behind.publicKeys()).toEqual(before);
    await expectExchange(behind, ahead);
    // What it cannot read it cannot follow either: a turn reaches it with its new key.
    backend.clock.advance(1000);
    await ahead.rotate(true);
    await expect(behind.refresh()).rejects.toThrow('does not decrypt');
    expect(behind.signer().kid).not.toBe(ahead.signer().kid);
    await expectExchange(ahead, await open(next, old));
    backend.clock.advance(86_401_000);
    expect(() => behind.signer()).toThrow(expect.objectContaining({ reason: 'server.signer_unavailable' }));
  });

  test('first every replica gets both keys, then each is swapped: no refresh and no exchange fails', async () => {
    said.length = 0;
    const [old, next] = [newKey(), newKey()];
    const replicas = [await open(old), await open(old)];
    const restart = async (index: number, ...keys: Parameters<typeof open>) => {
      replicas[index] = await open(...keys);
      await Promise.all(replicas.map((ring) => ring.refresh()));
      await expectExchange(...replicas);
    };
    await restart(0, old, next);
    await restart(1, old, next);
    await restart(0, next, old);
    // Half way: what the one wraps the other wraps back, once a minute, and a turn reaches both.
    for (let round = 0; round < 4; round++) {
      backend.clock.advance(61_000);
      await replicas[round % 2]?.rotate(true);
      await Promise.all(replicas.map((ring) => ring.refresh()));
      await Promise.all(replicas.map((ring) => ring.refresh()));
      await expectExchange(...replicas);
    }
    backend.clock.advance(61_000);
    await restart(1, next, old);
    expect(said.at(-1)).toEqual(removable);
    await restart(0, next);
    await restart(1, next);
  });

  test('replicas with the keys in opposite places do not wrap them back and forth every second', async () => {
    const [one, other] = [newKey(), newKey()];
    const rings = [await open(one, other), await open(other, one)];
    const seen = new Set<string>();
    for (let second = 0; second < 30; second++) {
      for (const ring of rings) await ring.refresh();
      const stored = await backend.stores.keys.list();
      seen.add(stored.map((key) => Buffer.from(key.wrappedPrivateKey).toString('hex')).join());
      backend.clock.advance(1000);
    }
    expect(seen.size).toBeLessThanOrEqual(3); // once by each, and as they were
    await expectExchange(...rings);
  });

  test('five replicas that get the new key at once end with one state, and nothing is lost', async () => {
    const [old, next] = [newKey(), newKey()];
    const before = (await open(old)).publicKeys();
    const rings = await Promise.all(Array.from({ length: 5 }, () => open(next, old)));
    for (const ring of rings) await ring.refresh();
    await expectExchange(...rings, await open(next));
    expect(rings.map((ring) => ring.publicKeys())).toEqual(Array(5).fill(before));
  });

  test('where one key opens with neither, none is wrapped anew, and the start says which', async () => {
    said.length = 0;
    const [old, next] = [newKey(), newKey()];
    const ring = await open(old);
    const { kid } = ring.signer('RS256');
    await select(
      backend.database,
      `update signing_keys set wrapped_private_key = '\\x${'01'.repeat(200)}' where kid = '${kid}'`,
    );
    const stored = await backend.stores.keys.list();
    await expect(open(next, old)).rejects.toThrow(`signing key ${kid} does not decrypt`);
    expect(await backend.stores.keys.list()).toEqual(stored);
    expect(said).toEqual([]);
  });

  test('where the store cannot be written, the keys are used as they are, and wrapped anew later', async () => {
    said.length = 0;
    const [old, next] = [newKey(), newKey()];
    const before = await open(old);
    let isReadOnly = true;
    const { keys } = backend.replica();
    const ring = await open(next, old, {
      list: () => keys.list(),
      change: (plan) => (isReadOnly ? Promise.reject(new Error('read-only')) : keys.change(plan)),
    });
    backend.clock.advance(1000);
    await ring.refresh();
    await expectExchange(before, ring);
    expect(said).toEqual([]);
    isReadOnly = false;
    backend.clock.advance(61_000);
    await ring.refresh();
    expect(said).toEqual([removable]);
    await expectExchange(ring, await open(next));
  });
});
