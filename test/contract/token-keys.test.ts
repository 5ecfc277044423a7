/** Keys in a token: never to be read, never anybody else's, and destroyed when they have gone. */
import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { layOut, number, readAttributes, text } from '../../src/adapters/pkcs11/attributes.ts';
import { attribute, objectClass } from '../../src/adapters/pkcs11/constants.ts';
import { loadCryptoki, words } from '../../src/adapters/pkcs11/cryptoki.ts';
import { openTokenKeys } from '../../src/adapters/pkcs11/open.ts';
import { openSessions } from '../../src/adapters/pkcs11/session-pool.ts';
import { openTokenQueue, type TokenQueue } from '../../src/adapters/pkcs11/token-queue.ts';
import { openSoftwareKeys } from '../../src/adapters/software-keys/open.ts';
import type { TokenAlgorithm } from '../../src/core/algorithm.ts';
import type { KeyStore } from '../../src/core/ports.ts';
import { Secret } from '../../src/core/secret.ts';
import { testKeyLife } from '../support/key-life.ts';
import { makeSoftHsm, type SoftHsm } from '../support/softhsm.ts';
import { describeSql, select } from './backends.ts';

const input = Buffer.from('header.payload');
const privateValue = 0x11; // CKA_VALUE: the private number of an EC key

describe('keys in a token', () => {
  let hsm: SoftHsm;
  let token: TokenQueue;
  let label: string;
  let algorithms: readonly TokenAlgorithm[];
  beforeAll(async () => {
    // A token that makes no Ed25519 keys, as many do not. SoftHSM 2.6 skips the first name of a negative list.
    hsm = await makeSoftHsm({ configuration: 'slots.mechanisms = -CKM_MD5,CKM_EC_EDWARDS_KEY_PAIR_GEN' });
    token = await openTokenQueue(hsm.settings, () => {});
  });
  beforeEach(() => {
    label = `mintmark ${randomUUID()}`;
    algorithms = ['ES256'];
  });
  afterAll(async () => {
    await token?.close();
    hsm?.remove();
  });

  describe('as PKCS #11 has them', () => {
    test('the private key cannot be read, nor made readable', async () => {
      const key = { label, id: 'ES256-one', algorithm: 'ES256' } as const;
      await token.make(key);
      const cryptoki = await loadCryptoki(hsm.settings.module);
      const { withSession } = await openSessions(cryptoki, hsm.settings);
      await withSession(async (session) => {
        const template = layOut(cryptoki, [
          number(attribute.class, objectClass.privateKey),
          text(attribute.label, label),
        ]);
        const [handle, count] = [words(1), words(1)];
        await cryptoki.call('C_FindObjectsInit', [session, template.bytes, template.count], template.held);
        await cryptoki.call('C_FindObjects', [session, handle, 1, count]);
        await cryptoki.call('C_FindObjectsFinal', [session]);
        const read = (type: number) =>
          readAttributes(cryptoki, session, handle.readBigUInt64LE(), [type]).then(([value]) => value);
        expect(await read(attribute.id)).toEqual(Buffer.from('ES256-one'));
        await expect(read(privateValue)).rejects.toMatchObject({ returnValue: 'CKR_ATTRIBUTE_SENSITIVE' });
        const flags = [attribute.token, attribute.private, attribute.sensitive, attribute.extractable];
        expect(await Promise.all(flags.map(async (type) => (await read(type))?.[0]))).toEqual([1, 1, 1, 0]);
        expect((await read(attribute.derive))?.[0]).toBe(0);
      });
    });

    test('the library stays loaded while nothing but its functions is in use', async () => {
      const cryptoki = new URL('../../src/adapters/pkcs11/cryptoki.ts', import.meta.url);
      const script = `
        const { loadCryptoki, words } = await import(${JSON.stringify(cryptoki.href)});
        const cryptoki = await loadCryptoki(${JSON.stringify(hsm.settings.module)});
        for (let turns = 0; turns < 20; turns++) {
          gc();
          await new Promise((resolve) => setImmediate(resolve));
        }
        await cryptoki.call('C_Initialize', [words(6, 0, 0, 0, 0, 2)]);
        console.log('called');`;
      const arguments_ = ['--expose-gc', '--input-type=module', '--eval', script];
      expect((await promisify(execFile)(process.execPath, arguments_)).stdout).toBe('called\n');
    });

    test('a key that was made outside is not used, though all its names are right', async () => {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      const [imported, made] = [`ES256-${randomUUID()}`, `ES256-${randomUUID()}`];
      await token.make({ label, id: made, algorithm: 'ES256' });
      await hsm.importKey(pem, label, imported);
      await expect(token.publicMembers({ label, id: made, algorithm: 'ES256' })).resolves.toHaveProperty('x');
      await expect(token.publicMembers({ label, id: imported, algorithm: 'ES256' })).rejects.toThrow(
        'was not made in the token',
      );
    });
  });

  describeSql('their names in the key store', (backend) => {
    const open = (keyStore: KeyStore = backend.stores.keys) =>
      openTokenKeys({
        keyStore,
        clock: backend.clock,
        life: testKeyLife,
        algorithms: () => algorithms,
        token,
        label,
        log: () => {},
      });
    const setHandle = (id: string, kid: string) =>
      select(
        backend.database,
        `update signing_keys set wrapped_private_key = '\\x02${Buffer.from(id).toString('hex')}' where kid = '${kid}'`,
      );
    const handleOf = async (kid: string) => {
      const stored = (await backend.stores.keys.list()).find((key) => key.kid === kid);
      return Buffer.from(stored?.wrappedPrivateKey.subarray(1) ?? []).toString();
    };
    afterEach(async () => {
      for (const id of await token.ids({ label })) await token.destroy({ label, id });
    });

    test('whoever writes to the store cannot have a key of theirs published', async () => {
      const ring = await open();
      const before = ring.publicKeys();
      expect((await open()).publicKeys()).toEqual(before);
      const active = ring.signer().kid;
      const another = before.find(({ kid }) => kid !== active)?.kid ?? '';
      // Another key of the token, made for something else.
      await token.make({ label: 'of others', id: `ES256-${label}`, algorithm: 'ES256' });
      await setHandle(`ES256-${label}`, active);
      await expect(ring.refresh()).rejects.toThrow('is not in the token');
      await expect(open()).rejects.toThrow('is not in the token');
      expect(ring.publicKeys()).toEqual(before);
      // A key of ours under the name of another one of ours.
      await setHandle(await handleOf(another), active);
      await expect(open()).rejects.toThrow("stored under another key's id");
      expect(ring.publicKeys()).toEqual(before);
    });

    test('the public half in the store decides nothing', async () => {
      const ring = await open();
      const before = ring.publicKeys();
      const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const theirs = { ...publicKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'x' };
      await select(backend.database, `update signing_keys set public_jwk = '${JSON.stringify(theirs)}'`);
      await ring.refresh();
      expect(ring.publicKeys()).toEqual(before);
      expect((await open()).publicKeys()).toEqual(before);
    });

    test('an RSA key does not sign by another algorithm than it was made for', async () => {
      algorithms = ['RS256'];
      await open();
      await select(backend.database, `update signing_keys set algorithm = 'PS256' where algorithm = 'RS256'`);
      algorithms = ['PS256'];
      await expect(open()).rejects.toThrow('was not made for PS256 in a token');
    });

    test('keys that are held in software are refused, and the other way round', async () => {
      const config = {
        keyStore: backend.stores.keys,
        clock: backend.clock,
        life: testKeyLife,
        algorithms: () => algorithms,
        keyEncryptionKey: new Secret(new Uint8Array(32)),
      };
      await openSoftwareKeys(config);
      await expect(open()).rejects.toThrow('was not made for ES256 in a token');
      await select(backend.database, 'delete from signing_keys');
      await open();
      await expect(openSoftwareKeys(config)).rejects.toThrow('a format that this version does not know');
    });

    test('an algorithm that the token does not have is an error, and stops no other', async () => {
      algorithms = ['EdDSA'];
      await expect(open()).rejects.toThrow('the token cannot make EdDSA keys');
      algorithms = ['ES256'];
      const ring = await open();
      algorithms = ['ES256', 'EdDSA', 'ES384'];
      await expect(ring.refresh()).rejects.toThrow('the token cannot make EdDSA keys');
      expect(await ring.signer('ES384').sign(input)).toHaveLength(96);
      expect(() => ring.signer('EdDSA')).toThrow(
        expect.objectContaining({ reason: 'server.signer_unavailable' }),
      );
    });

    test('keys that left the ring are destroyed an hour later, and no others', async () => {
      const ring = await open();
      const otherLabel = `mintmark ${randomUUID()}`;
      await token.make({ label: otherLabel, id: 'ES256-other', algorithm: 'ES256' });
      const revoked = ring.signer().kid;
      const revokedId = await handleOf(revoked);
      backend.clock.advance(61_000);
      await ring.revoke(revoked); // from now on it is seen to be in no store
      backend.clock.advance(3_599_000);
      await ring.refresh();
      expect(await token.ids({ label })).toContain(revokedId);
      backend.clock.advance(61_000);
      await ring.refresh();
      expect(await token.ids({ label })).not.toContain(revokedId);
      expect(await token.ids({ label })).toHaveLength(ring.list().length);
      expect(await token.ids({ label: otherLabel })).toEqual(['ES256-other']);
      expect(await ring.signer().sign(input)).toHaveLength(64);
    });

    test('a store that takes no change does not fill the token', async () => {
      const { keys } = backend.stores;
      const readOnly: KeyStore = { ...keys, change: () => Promise.reject(new Error('read only')) };
      const ring = await open();
      const count = (await token.ids({ label })).length;
      const failing = await open(readOnly);
      algorithms = ['ES256', 'ES384'];
      for (let tries = 0; tries < 4; tries++) await expect(failing.refresh()).rejects.toThrow('read only');
      expect(await token.ids({ label })).toHaveLength(count + 2); // an active and a next one, once
      await ring.refresh();
      expect(await ring.signer('ES384').sign(input)).toHaveLength(96);
    });

    test('nothing is destroyed after a reading that may be old', async () => {
      const { keys } = backend.stores;
      const ring = await open();
      const kept = (await keys.list()).find(({ state }) => state === 'active');
      const stale = await openTokenKeys({
        keyStore: { list: async () => (kept ? [kept] : []), change: () => Promise.reject(new Error('away')) },
        readAt: () => backend.clock.now() - 1,
        clock: backend.clock,
        life: testKeyLife,
        algorithms: () => [],
        token,
        label,
        log: () => {},
      });
      for (const millis of [120_000, 3_700_000, 120_000]) {
        backend.clock.advance(millis);
        await stale.refresh();
      }
      expect(await token.ids({ label })).toHaveLength(ring.list().length);
    });
  });
});
