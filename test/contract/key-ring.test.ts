/** The contract of KeyRing, for keys held in software. */
import { randomBytes, webcrypto } from 'node:crypto';
import { calculateJwkThumbprint, createLocalJWKSet, jwtVerify } from 'jose';
import { beforeEach, expect, test } from 'vitest';
import { openSoftwareKeys } from '../../src/adapters/software-keys/open.ts';
import { type TokenAlgorithm, tokenAlgorithms } from '../../src/core/algorithm.ts';
import type { KeyRing, KeyStore, PublicJwk, StoredKey } from '../../src/core/ports.ts';
import { Secret } from '../../src/core/secret.ts';
import { testKeyLife } from '../support/key-life.ts';
import { describeSql, select } from './backends.ts';

const keyEncryptionKey = new Secret<Uint8Array>(randomBytes(32));
const input = Buffer.from('header.payload');

async function verifies(jwk: PublicJwk, signature: Uint8Array): Promise<boolean> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const { kid: _kid, ...material } = jwk;
  const key = await webcrypto.subtle.importKey('jwk', material, algorithm, true, ['verify']);
  return await webcrypto.subtle.verify(algorithm, key, new Uint8Array(signature), input);
}

function published(ring: KeyRing, kid = ring.signer().kid): PublicJwk {
  const jwk = ring.publicKeys().find((key) => key.kid === kid);
  if (jwk === undefined) throw new Error(`${kid} is not published`);
  return jwk;
}

describeSql('key ring over the key store', (backend) => {
  const open = (keyStore: KeyStore = backend.stores.keys, kek = keyEncryptionKey) =>
    openSoftwareKeys({
      keyStore,
      keyEncryptionKey: kek,
      clock: backend.clock,
      life: testKeyLife,
      algorithms: () => algorithms,
    });
  let algorithms: readonly TokenAlgorithm[];
  beforeEach(() => {
    algorithms = ['ES256'];
  });

  test('makes a key at first start, signs with it and publishes its public half alone', async () => {
    const ring = await open();
    const jwk = published(ring);
    expect(Object.keys(jwk).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    expect(jwk).toMatchObject({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' });
    expect(jwk.kid).toBe(await calculateJwkThumbprint({ ...jwk }));
    const signature = await ring.signer().sign(input);
    expect(signature).toHaveLength(64);
    expect(await verifies(jwk, signature)).toBe(true);
    signature[0] = (signature[0] ?? 0) ^ 1;
    expect(await verifies(jwk, signature)).toBe(false);
  });

  test('opens the same key again', async () => {
    const [first, second] = [await open(), await open()];
    expect(second.publicKeys()).toEqual(first.publicKeys());
    expect(await verifies(published(first), await second.signer().sign(input))).toBe(true);
  });

  test('ten replicas that start at once sign with one key', async () => {
    const rings = await Promise.all(Array.from({ length: 10 }, () => open(backend.replica().keys)));
    expect(new Set(rings.map((ring) => ring.signer().kid)).size).toBe(1);
    expect(rings.map((ring) => ring.publicKeys().length)).toEqual(Array(10).fill(2));
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

  test('refresh takes over the keys of others, retiring ones too', async () => {
    const ring = await open();
    const old = ring.signer().kid;
    const other = await open(backend.replica().keys);
    backend.clock.advance(1000);
    await other.rotate(true);
    await ring.refresh();
    expect(ring.signer().kid).toBe(other.signer().kid);
    expect(ring.signer().kid).not.toBe(old);
    expect(
      ring
        .list()
        .map(({ state }) => state)
        .toSorted(),
    ).toEqual(['active', 'next', 'retiring']);
    expect(ring.publicKeys()).toEqual(other.publicKeys());
    expect(published(ring, old).kid).toBe(old);
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

  test('signs with each algorithm that is asked for, as jose verifies it', async () => {
    const ring = await open();
    expect(() => ring.signer('RS256')).toThrow(
      expect.objectContaining({ reason: 'server.signer_unavailable' }),
    );
    algorithms = tokenAlgorithms;
    await ring.refresh();
    for (const algorithm of tokenAlgorithms) {
      const signer = ring.signer(algorithm);
      const header = Buffer.from(JSON.stringify({ alg: algorithm, kid: signer.kid })).toString('base64url');
      const signingInput = `${header}.e30`;
      const signature = Buffer.from(await signer.sign(Buffer.from(signingInput))).toString('base64url');
      const keys = createLocalJWKSet({ keys: ring.publicKeys().map((jwk) => ({ ...jwk })) });
      const verified = await jwtVerify(`${signingInput}.${signature}`, keys);
      expect(verified.protectedHeader.alg).toBe(algorithm);
      expect(signer.kid).toBe(await calculateJwkThumbprint({ ...published(ring, signer.kid) }));
    }
  });

  test('two replicas that rotate at once make one key', async () => {
    const rings = await Promise.all([open(backend.replica().keys), open(backend.replica().keys)]);
    const { rotationSeconds } = testKeyLife;
    const next = rings[0]?.list().find(({ state }) => state === 'next')?.kid;
    backend.clock.advance(rotationSeconds * 1000);
    await Promise.all(rings.map((ring) => ring.refresh()));
    await Promise.all(rings.map((ring) => ring.refresh()));
    expect(rings.map((ring) => ring.signer().kid)).toEqual([next, next]);
    expect(await backend.stores.keys.list()).toHaveLength(3);
  });

  test('a replica that lost the store begins to sign with the next key in time, and stops before it is too old', async () => {
    let isLost = false;
    const { keys } = backend.stores;
    const ring = await open({
      list: () => (isLost ? Promise.reject(new Error('lost')) : keys.list()),
      change: (plan) => keys.change(plan),
    });
    const next = ring.list().find(({ state }) => state === 'next')?.kid;
    backend.clock.advance((testKeyLife.rotationSeconds - 1) * 1000);
    await ring.refresh();
    isLost = true;
    const old = ring.signer().kid;
    backend.clock.advance(2000);
    await expect(ring.refresh()).rejects.toThrow('lost');
    expect(ring.signer().kid).toBe(next);
    expect(published(ring, old).kid).toBe(old);
    backend.clock.advance(86_400_000);
    expect(() => ring.signer()).toThrow(expect.objectContaining({ reason: 'server.signer_unavailable' }));
    isLost = false;
    await ring.refresh();
    expect(ring.signer().kid).toBe(next);
  });

  test('a revoked key is gone everywhere, and the next one signs at once', async () => {
    const [ring, other] = [await open(), await open(backend.replica().keys)];
    backend.clock.advance(1000);
    await ring.rotate(true);
    const revoked = ring.signer().kid;
    const next = ring.list().find(({ state }) => state === 'next')?.kid;
    await ring.revoke(revoked);
    await other.refresh();
    for (const each of [ring, other]) {
      expect(each.signer().kid).toBe(next);
      expect(each.publicKeys().map(({ kid }) => kid)).not.toContain(revoked);
    }
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
