/** The contract of KeyRing, for keys held in software and for keys in a token. */
import { createPublicKey, randomBytes, randomUUID, webcrypto } from 'node:crypto';
import { calculateJwkThumbprint, createLocalJWKSet, jwtVerify } from 'jose';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openTokenKeys } from '../../src/adapters/pkcs11/open.ts';
import { openTokenQueue, type TokenQueue } from '../../src/adapters/pkcs11/token-queue.ts';
import { openSoftwareKeys } from '../../src/adapters/software-keys/open.ts';
import { type TokenAlgorithm, tokenAlgorithms } from '../../src/core/algorithm.ts';
import type { KeyRingConfig } from '../../src/core/key-ring.ts';
import type { KeyRing, KeyStore, PublicJwk, TurningKeyRing } from '../../src/core/ports.ts';
import { Secret } from '../../src/core/secret.ts';
import { testKeyLife } from '../support/key-life.ts';
import { makeSoftHsm, type SoftHsm } from '../support/softhsm.ts';
import { describeSql, type SqlBackend } from './backends.ts';

let hsm: SoftHsm;
let token: TokenQueue;
let label: string;
beforeAll(async () => {
  hsm = await makeSoftHsm();
  token = await openTokenQueue(hsm.settings, () => {});
});
afterAll(async () => {
  await token?.close();
  hsm?.remove();
});

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

const openers = {
  'held in software': (config: KeyRingConfig) => openSoftwareKeys({ ...config, keyEncryptionKey }),
  'in a token': (config: KeyRingConfig) => openTokenKeys({ ...config, token, label, log: () => {} }),
};

const declareFor =
  (openRing: (config: KeyRingConfig) => Promise<TurningKeyRing>) => (backend: SqlBackend) => {
    const open = (keyStore: KeyStore = backend.stores.keys) =>
      openRing({ keyStore, clock: backend.clock, life: testKeyLife, algorithms: () => algorithms });
    let algorithms: readonly TokenAlgorithm[];
    beforeEach(() => {
      algorithms = ['ES256'];
      label = `mintmark ${randomUUID()}`;
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

    test('where no next key is there, one is made in the same change: an older one never signs again', async () => {
      algorithms = ['ES256', 'RS256'];
      const ring = await open();
      algorithms = ['ES256'];
      backend.clock.advance(1000);
      await ring.rotate(true);
      const last = ring.signer('RS256').kid;
      const ofRsa = () =>
        ring.list().flatMap(({ algorithm, kid, state }) => (algorithm === 'RS256' ? [{ kid, state }] : []));
      const [older] = ofRsa();
      expect(ofRsa().map(({ state }) => state)).toEqual(['retiring', 'active']);
      backend.clock.advance(1000);
      await ring.revoke(last);
      expect(ofRsa()).toEqual([
        { kid: older?.kid, state: 'retiring' },
        { kid: ring.signer('RS256').kid, state: 'active' },
      ]);
      expect(ring.publicKeys().map(({ kid }) => kid)).not.toContain(last);
      const { modulusLength } =
        createPublicKey({
          key: published(ring, ring.signer('RS256').kid),
          format: 'jwk',
        }).asymmetricKeyDetails ?? {};
      expect(modulusLength).toBe(3072);
    });
  };

for (const [where, openRing] of Object.entries(openers)) {
  describeSql(`key ring ${where}, over the key store`, declareFor(openRing));
}
