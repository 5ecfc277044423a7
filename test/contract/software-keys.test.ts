/** Keys held in software: what the store sees of them, and what somebody who writes to it cannot do. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { openSoftwareKeys } from '../../src/adapters/software-keys/open.ts';
import type { KeyStore, StoredKey } from '../../src/core/ports.ts';
import { Secret } from '../../src/core/secret.ts';
import { testKeyLife } from '../support/key-life.ts';
import { describeSql, select } from './backends.ts';

const keyEncryptionKey = new Secret<Uint8Array>(randomBytes(32));

describeSql('software keys in the key store', (backend) => {
  const open = (keyStore: KeyStore = backend.stores.keys, kek = keyEncryptionKey) =>
    openSoftwareKeys({
      keyStore,
      keyEncryptionKey: kek,
      clock: backend.clock,
      life: testKeyLife,
      algorithms: () => ['ES256'],
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
