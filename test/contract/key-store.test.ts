/** The contract of KeyStore. */
import { expect, test } from 'vitest';
import type { StoredKey } from '../../src/core/ports.ts';
import { describeSql, select } from './backends.ts';

const createdAt = Date.UTC(2026, 1, 3, 4, 5, 6, 789);

function key(kid: string, changes: Partial<StoredKey> = {}): StoredKey {
  return {
    kid,
    algorithm: 'ES256',
    state: 'active',
    publicJwk: { kty: 'EC', kid, alg: 'ES256', use: 'sig', crv: 'P-256', x: 'x', y: 'y' },
    wrappedPrivateKey: Uint8Array.from([0, 1, 127, 128, 255]),
    createdAt,
    activatesAt: createdAt + 1,
    ...changes,
  };
}

describeSql('key store', (backend) => {
  test('begins empty', async () => {
    expect(await backend.stores.keys.list()).toEqual([]);
  });

  test('gives back keys whole', async () => {
    const { keys } = backend.stores;
    const both = [key('first'), key('second', { state: 'next', activatesAt: createdAt + 9 })];
    expect(await keys.change(() => both)).toEqual(both);
    expect(await keys.list()).toEqual(both);
  });

  test('shows the plan what is stored, and takes out what the plan leaves out', async () => {
    const { keys } = backend.stores;
    await keys.change(() => [key('first'), key('second', { state: 'next' })]);
    await keys.change((stored) => stored.filter(({ kid }) => kid === 'first'));
    expect(await keys.list()).toEqual([key('first')]);
  });

  test('keeps another wrapping of a key in the place of the one before', async () => {
    const { keys } = backend.stores;
    await keys.change(() => [key('one'), key('two', { state: 'next' })]);
    const wrappedPrivateKey = Uint8Array.from([9, 8, 7]);
    const changed = [key('one', { wrappedPrivateKey }), key('two', { state: 'next' })];
    expect(await keys.change(() => changed)).toEqual(changed);
  });

  test('passes the signing from one key to another in one change', async () => {
    const { keys } = backend.stores;
    await keys.change(() => [key('a', { state: 'next' }), key('b')]);
    await keys.change((stored) =>
      stored.map((each) => ({
        ...each,
        state: each.kid === 'a' ? 'active' : 'retiring',
        activatesAt: createdAt + 2,
      })),
    );
    expect((await keys.list()).map(({ kid, state, activatesAt }) => [kid, state, activatesAt])).toEqual([
      ['a', 'active', createdAt + 2],
      ['b', 'retiring', createdAt + 2],
    ]);
  });

  test('changes nothing where any of the change cannot be stored', async () => {
    const { keys } = backend.stores;
    await keys.change(() => [key('first')]);
    await expect(keys.change(() => [key('second'), key('third')])).rejects.toThrow(
      'one_active_per_algorithm',
    );
    expect(await keys.list()).toEqual([key('first')]);
    const planned = keys.change(() => {
      throw new Error('no plan');
    });
    await expect(planned).rejects.toThrow('no plan');
  });

  test('ten replicas at once make one key, and all get it', async () => {
    const replicas = Array.from({ length: 10 }, () => backend.replica().keys);
    const made = await Promise.all(
      replicas.map((keys, index) =>
        keys.change((stored) => (stored.length > 0 ? stored : [key(`kid-${index}`)])),
      ),
    );
    expect(await backend.stores.keys.list()).toHaveLength(1);
    expect(new Set(made.map(([first]) => first?.kid)).size).toBe(1);
  });

  test('reads a key of the former version: it signs from its making on', async () => {
    const { keys } = backend.stores;
    await keys.change(() => [key('old')]);
    await select(backend.database, 'update signing_keys set activates_at = null');
    expect(await keys.list()).toEqual([key('old', { activatesAt: createdAt })]);
  });
});

describeSql('store of keys for JWT-SVIDs', (backend) => {
  const numbered = (keys: readonly StoredKey[]) => keys.map(({ kid, sequence }) => [kid, sequence]);

  test('keeps its keys apart from those of access tokens, also where both have one id', async () => {
    const { keys, svidKeys } = backend.stores;
    await keys.change(() => [key('both')]);
    await svidKeys.change(() => [key('both', { algorithm: 'ES384', createdAt: createdAt + 1 })]);
    expect(await keys.list()).toEqual([key('both')]);
    expect(await svidKeys.list()).toEqual([
      key('both', { algorithm: 'ES384', createdAt: createdAt + 1, sequence: backend.clock.now() }),
    ]);
    await svidKeys.change(() => []);
    expect(await keys.list()).toEqual([key('both')]);
  });

  test('has one active key of each algorithm', async () => {
    const { svidKeys } = backend.stores;
    await expect(svidKeys.change(() => [key('one'), key('two')])).rejects.toThrow(
      'jwt_svid_keys_one_active_per_algorithm',
    );
    expect(await svidKeys.list()).toEqual([]);
  });

  test('numbers the set anew where a key comes or goes, for all replicas, and never lower', async () => {
    const { svidKeys } = backend.stores;
    const other = backend.replica().svidKeys;
    const now = backend.clock.now();
    const next = key('b', { state: 'next' });
    expect(numbered(await svidKeys.change(() => [key('a'), next]))).toEqual([
      ['a', now],
      ['b', now],
    ]);
    // Only a state: what is published stays the same.
    const turned = await other.change((keys) =>
      keys.map((each) => ({ ...each, state: each.kid === 'b' ? 'active' : 'retiring' })),
    );
    expect(turned.map(({ sequence }) => sequence)).toEqual([now, now]);
    expect(numbered(await other.change((keys) => keys.filter(({ kid }) => kid === 'b')))).toEqual([
      ['b', now + 1],
    ]);
    backend.clock.advance(60_000);
    await svidKeys.change((keys) => [...keys, key('c', { state: 'next' })]);
    expect(numbered(await other.list())).toEqual([
      ['b', now + 60_000],
      ['c', now + 60_000],
    ]);
  });

  test('goes on above what it had reached after all keys are lost', async () => {
    const { svidKeys } = backend.stores;
    await svidKeys.change(() => [key('a')]);
    await select(backend.database, 'delete from jwt_svid_keys');
    backend.clock.advance(1000);
    const made = await svidKeys.change(() => [key('b')]);
    expect(numbered(made)).toEqual([['b', backend.clock.now()]]);
  });
});
