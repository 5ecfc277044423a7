/** The contract of KeyStore. */
import { expect, test } from 'vitest';
import type { StoredKey } from '../../src/core/ports.ts';
import { describeSql, select } from './backends.ts';

function key(kid: string): StoredKey {
  return {
    kid,
    algorithm: 'ES256',
    state: 'active',
    publicJwk: { kty: 'EC', kid, alg: 'ES256', use: 'sig', crv: 'P-256', x: 'x', y: 'y' },
    wrappedPrivateKey: Uint8Array.from([0, 1, 127, 128, 255]),
    createdAt: Date.UTC(2026, 1, 3, 4, 5, 6, 789),
  };
}

describeSql('key store', (backend) => {
  test('begins empty', async () => {
    expect(await backend.stores.keys.list()).toEqual([]);
  });

  test('gives back a key whole', async () => {
    const { keys } = backend.stores;
    expect(await keys.addIfNoneActive(key('first'))).toEqual(key('first'));
    expect(await keys.list()).toEqual([key('first')]);
  });

  test('keeps the active key where there is one', async () => {
    const { keys } = backend.stores;
    await keys.addIfNoneActive(key('first'));
    expect((await keys.addIfNoneActive(key('second'))).kid).toBe('first');
    expect(await keys.list()).toHaveLength(1);
  });

  test('ten replicas at once make one key, and all get it', async () => {
    const replicas = Array.from({ length: 10 }, () => backend.replica().keys);
    const made = await Promise.all(replicas.map((keys, index) => keys.addIfNoneActive(key(`kid-${index}`))));
    const stored = await backend.stores.keys.list();
    expect(stored).toHaveLength(1);
    expect(new Set(made.map(({ kid }) => kid))).toEqual(new Set([stored[0]?.kid]));
  });

  test('lists retiring keys, and makes a new active one beside them', async () => {
    const { keys } = backend.stores;
    await keys.addIfNoneActive(key('old'));
    await select(backend.database, `update signing_keys set state = 'retiring'`);
    await expect(keys.addIfNoneActive(key('old'))).rejects.toThrow('no key is active');
    expect((await keys.addIfNoneActive(key('new'))).kid).toBe('new');
    expect((await keys.list()).map(({ kid, state }) => [kid, state])).toEqual([
      ['new', 'active'],
      ['old', 'retiring'],
    ]);
  });
});
