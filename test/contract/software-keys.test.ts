/** Keys held in software: what the store sees of them, and what somebody who writes to it cannot do. */
import { randomBytes } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import { openSoftwareKeys } from '../../src/adapters/software-keys/open.ts';
import type { TokenAlgorithm } from '../../src/core/algorithm.ts';
import type { KeyStore, StoredKey } from '../../src/core/ports.ts';
import { Secret } from '../../src/core/secret.ts';
import { testKeyLife } from '../support/key-life.ts';
import { describeSql, select } from './backends.ts';

const keyEncryptionKey = new Secret<Uint8Array>(randomBytes(32));

describeSql('software keys in the key store', (backend) => {
  let algorithms: readonly TokenAlgorithm[];
  beforeEach(() => {
    algorithms = ['ES256'];
  });
  const open = (keyStore: KeyStore = backend.stores.keys, kek = keyEncryptionKey) =>
    openSoftwareKeys({
      keyStore,
      keyEncryptionKey: kek,
      clock: backend.clock,
      life: testKeyLife,
      algorithms: () => algorithms,
    });

  test('the store never sees the private key', async () => {
    await open();
    const [stored] = await backend.stores.keys.list();
    const bytes = Buffer.from(stored?.wrappedPrivateKey ?? []);
    expect(bytes.length).toBeGreaterThan(100);
    // The object identifier of an EC key, which stands in every unencrypted PKCS #8 one.
    expect(bytes.includes(Buffer.from('06072a8648ce3d0201', 'hex'))).toBe(false);
    expect(stored?.publicJwk).not.toHaveProperty('d');
  });

  test('another key-encryption key fails at start, and says which setting is wrong', async () => {
    await open();
    const wrong = new Secret<Uint8Array>(randomBytes(32));
    await expect(open(backend.stores.keys, wrong)).rejects.toThrow(
      'MINTMARK_KEY_ENCRYPTION_KEY is not the one',
    );
    await expect(open(backend.stores.keys, new Secret<Uint8Array>(randomBytes(16)))).rejects.toThrow(
      '32 bytes, not 16',
    );
  });

  test('whoever writes to the store cannot have a key of theirs published', async () => {
    const ring = await open();
    const before = ring.publicKeys();
    // A key pair of the attacker's, wrapped as well as can be without the key-encryption key.
    const attacker = await attackersKey();
    await select(
      backend.database,
      `insert into signing_keys values ('${attacker.kid}', 'ES256', 'retiring', '${JSON.stringify(attacker.publicJwk)}',
        '\\x${Buffer.from(attacker.wrappedPrivateKey).toString('hex')}', now() - interval '1 year', now())`,
    );
    await expect(ring.refresh()).rejects.toThrow('does not decrypt');
    expect(ring.publicKeys()).toEqual(before);
    await expect(open()).rejects.toThrow('does not decrypt');
    await select(backend.database, `delete from signing_keys where kid = '${attacker.kid}'`);
    // Public halves come from the private ones, so this column decides nothing.
    await select(
      backend.database,
      `update signing_keys set public_jwk = '${JSON.stringify(attacker.publicJwk)}'`,
    );
    await ring.refresh();
    expect(ring.publicKeys()).toEqual(before);
    // A wrapped key moved under another id.
    await select(backend.database, `update signing_keys set kid = 'another' where state = 'active'`);
    await expect(ring.refresh()).rejects.toThrow('does not decrypt');
  });

  test('keys of access tokens and of JWT-SVIDs never open in each other’s place', async () => {
    const ring = await open();
    const svidRing = await openSoftwareKeys({
      keyStore: backend.stores.svidKeys,
      keyEncryptionKey,
      format: 'jwt-svid',
      clock: backend.clock,
      life: testKeyLife,
      algorithms: () => algorithms,
    });
    expect(svidRing.publicKeys()).toHaveLength(2);
    const kids = new Set(ring.publicKeys().map(({ kid }) => kid));
    expect(svidRing.publicKeys().filter(({ kid }) => kids.has(kid))).toEqual([]);
    const columns = 'kid, algorithm, state, public_jwk, wrapped_private_key, created_at, activates_at';
    const move = (from: string, to: string) =>
      select(
        backend.database,
        `insert into ${to} (${columns}) select ${columns} from ${from}
          where state = 'next' and kid not in (select kid from ${to})`,
      );
    await move('signing_keys', 'jwt_svid_keys');
    await expect(svidRing.refresh()).rejects.toThrow('does not decrypt');
    await move('jwt_svid_keys', 'signing_keys');
    await expect(ring.refresh()).rejects.toThrow('does not decrypt');
  });

  test('a ring that nobody needs makes no keys, until somebody does', async () => {
    algorithms = [];
    const ring = await open(backend.stores.svidKeys);
    expect([ring.publicKeys(), await backend.stores.svidKeys.list()]).toEqual([[], []]);
    expect(() => ring.signer()).toThrow(expect.objectContaining({ reason: 'server.signer_unavailable' }));
    algorithms = ['ES256'];
    await ring.refresh();
    expect(ring.publicKeys()).toHaveLength(2);
  });

  async function attackersKey(): Promise<StoredKey> {
    const made: StoredKey[] = [];
    const keyStore: KeyStore = {
      list: async () => made,
      change: async (plan) => {
        made.push(...plan([]));
        return made;
      },
    };
    await open(keyStore, new Secret<Uint8Array>(randomBytes(32)));
    const [key] = made;
    if (key === undefined) throw new Error('no key was made');
    return key;
  }
});
