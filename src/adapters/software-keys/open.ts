/** Signing keys held in this process's memory, and encrypted in the store. */
import { type KeyRingConfig, openKeyRing } from '../../core/key-ring.ts';
import type { KeyHolder, TurningKeyRing } from '../../core/ports.ts';
import type { Secret } from '../../core/secret.ts';
import type { KeyedFormat } from '../../core/token-format.ts';
import { makePrivateKey, toPublicJwk, toSigner } from './key-pair.ts';
import { openRewrapping } from './rewrap.ts';
import { requireKeyEncryptionKey, unwrap, wrap } from './wrap.ts';

export interface SoftwareKeysConfig extends KeyRingConfig {
  /** 32 bytes. */
  readonly keyEncryptionKey: Secret<Uint8Array>;
  /** What these keys sign; access tokens by default. */
  readonly format?: KeyedFormat | undefined;
  /** What stored keys may be wrapped under still; they are opened with it, and wrapped anew. */
  readonly previousKeyEncryptionKey?: Secret<Uint8Array> | undefined;
  /** Told when no stored key needs the previous one any more. */
  readonly log?: (message: string) => void;
}

/** Rejects, and says so, where a stored key does not decrypt. */
export async function openSoftwareKeys(config: SoftwareKeysConfig): Promise<TurningKeyRing> {
  requireKeyEncryptionKey(config.keyEncryptionKey);
  return await openKeyRing(softwareKeyHolder(config), config);
}

/**
 * Every key is decrypted, also those that only verify, and its public half derived from it: who can write to the
 * store but does not hold the key-encryption key cannot make us publish a key of theirs.
 */
function softwareKeyHolder({
  keyEncryptionKey: kek,
  previousKeyEncryptionKey: previous,
  format,
  log,
}: Omit<SoftwareKeysConfig, keyof KeyRingConfig>): KeyHolder {
  return {
    ...(previous && openRewrapping({ kek, previous, format, log })),
    make: async (algorithm, nowMillis) => {
      const privateKey = await makePrivateKey(algorithm);
      const publicJwk = toPublicJwk(privateKey, algorithm);
      const { kid } = publicJwk;
      return {
        kid,
        algorithm,
        state: 'next',
        publicJwk,
        wrappedPrivateKey: wrap(privateKey, kek, { kid, algorithm, format }),
        createdAt: nowMillis,
        activatesAt: nowMillis,
      };
    },
    open: async ({ kid, algorithm, wrappedPrivateKey }) => {
      const privateKey = unwrap(wrappedPrivateKey, kek, { kid, algorithm, format }, previous);
      return {
        publicJwk: toPublicJwk(privateKey, algorithm),
        signer: toSigner(kid, privateKey, algorithm),
      };
    },
  };
}
