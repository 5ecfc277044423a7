/** Signing keys held in this process's memory, and encrypted in the store. */
import { createHash, createPublicKey, generateKeyPair, type KeyObject, subtle } from 'node:crypto';
import { promisify } from 'node:util';
import type { Clock, KeyStore, PublicJwk, RefreshableKeyRing, Signer, StoredKey } from '../../core/ports.ts';
import type { Secret } from '../../core/secret.ts';
import { requireKeyEncryptionKey, unwrap, wrap } from './wrap.ts';

export interface SoftwareKeysConfig {
  readonly keyStore: KeyStore;
  /** 32 bytes. */
  readonly keyEncryptionKey: Secret<Uint8Array>;
  readonly clock: Clock;
}

interface Opened {
  readonly signer: Signer;
  readonly publicKeys: readonly PublicJwk[];
}

/**
 * Makes the first key where there is none; replicas that start at once agree on one. Rejects, and says so, where a
 * stored key does not decrypt. A failed `refresh` leaves the ring as it was.
 */
export async function openSoftwareKeys(config: SoftwareKeysConfig): Promise<RefreshableKeyRing> {
  const { keyStore, keyEncryptionKey, clock } = config;
  requireKeyEncryptionKey(keyEncryptionKey);
  let stored = await keyStore.list();
  if (!stored.some(({ state }) => state === 'active')) {
    await keyStore.addIfNoneActive(await generate(keyEncryptionKey, clock.now()));
    stored = await keyStore.list();
  }
  let opened = open(stored, keyEncryptionKey);
  return {
    signer: () => opened.signer,
    publicKeys: () => opened.publicKeys,
    refresh: async () => {
      opened = open(await keyStore.list(), keyEncryptionKey);
    },
  };
}

/**
 * Every key is decrypted, also those that only verify, and its public half derived from it: who can write to the
 * store but does not hold the key-encryption key cannot make us publish a key of theirs.
 */
function open(stored: readonly StoredKey[], kek: Secret<Uint8Array>): Opened {
  let active: Signer | undefined;
  const publicKeys = stored.map((key) => {
    const privateKey = unwrap(key.wrappedPrivateKey, kek, key);
    const publicJwk = toPublicJwk(privateKey);
    if (publicJwk.kid !== key.kid) throw new Error(`signing key ${key.kid} is stored under another key's id`);
    if (key.state === 'active') active = toSigner(key.kid, privateKey);
    return publicJwk;
  });
  if (active === undefined) throw new Error('no signing key is active');
  return { signer: active, publicKeys };
}

async function generate(kek: Secret<Uint8Array>, nowMillis: number): Promise<StoredKey> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  const publicJwk = toPublicJwk(privateKey);
  const { kid } = publicJwk;
  return {
    kid,
    algorithm: 'ES256',
    state: 'active',
    publicJwk,
    wrappedPrivateKey: wrap(privateKey, kek, { kid, algorithm: 'ES256' }),
    createdAt: nowMillis,
  };
}

/** The public half, its `kid` the JWK thumbprint of RFC 7638. */
function toPublicJwk(privateKey: KeyObject): PublicJwk {
  const { crv, kty, x, y } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (kty !== 'EC' || crv !== 'P-256' || x === undefined || y === undefined) {
    throw new Error('a signing key is not an EC key on P-256');
  }
  const thumbprint = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
  return { kty, crv, x, y, kid: thumbprint, alg: 'ES256', use: 'sig' };
}

/** WebCrypto signs on the thread pool as R ‖ S, as RFC 7518 §3.4 wants, for half of the main thread's time that `crypto.sign` takes. */
function toSigner(kid: string, privateKey: KeyObject): Signer {
  const key = privateKey.toCryptoKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
  return {
    kid,
    algorithm: 'ES256',
    sign: async (input) => new Uint8Array(await subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, input)),
  };
}
