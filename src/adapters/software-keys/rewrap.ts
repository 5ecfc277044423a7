/** Moves stored keys from the previous key-encryption key to the one that takes its place. */
import type { StoredKey } from '../../core/ports.ts';
import type { Secret } from '../../core/secret.ts';
import type { KeyedFormat } from '../../core/token-format.ts';
import { opens, requireKeyEncryptionKey, unwrap, wrap } from './wrap.ts';

/** While replicas are swapped from the one key to the other, they must not undo each other's work every second. */
const pauseMillis = 60_000;

interface Rewrapping {
  /** The keys, all wrapped under the new one; as they are where one opens with neither, or it was done a moment ago. */
  rewrap(keys: readonly StoredKey[], nowMillis: number): readonly StoredKey[];
  /** To be told what is stored after each reading. */
  note(stored: readonly StoredKey[]): void;
}

export interface RewrappingKeys {
  readonly kek: Secret<Uint8Array>;
  readonly previous: Secret<Uint8Array>;
  /** What the keys sign. */
  readonly format: KeyedFormat | undefined;
  readonly log: ((message: string) => void) | undefined;
}

export function openRewrapping({ kek, previous, format, log = () => {} }: RewrappingKeys): Rewrapping {
  requireKeyEncryptionKey(previous);
  const isOld = (key: StoredKey) => !opens(key.wrappedPrivateKey, kek, { ...key, format });
  let rewrappedAt: number | undefined;
  let isSaid = false;

  return {
    rewrap: (keys, nowMillis) => {
      // Equal: the same turn plans once before the store is locked and once under the lock.
      const isTooSoon =
        rewrappedAt !== undefined && nowMillis !== rewrappedAt && nowMillis < rewrappedAt + pauseMillis;
      const old = keys.filter(isOld);
      if (isTooSoon || old.length === 0) return keys;
      if (!old.every((key) => opens(key.wrappedPrivateKey, previous, { ...key, format }))) return keys;
      rewrappedAt = nowMillis;
      return keys.map((key) => {
        if (!old.includes(key)) return key;
        const privateKey = unwrap(key.wrappedPrivateKey, previous, { ...key, format });
        return { ...key, wrappedPrivateKey: wrap(privateKey, kek, { ...key, format }) };
      });
    },
    note: (stored) => {
      const isDone = !stored.some(isOld);
      if (isDone && !isSaid) {
        log(
          'no stored signing key needs MINTMARK_PREVIOUS_KEY_ENCRYPTION_KEY: it can be removed, once no replica has it as MINTMARK_KEY_ENCRYPTION_KEY',
        );
      }
      isSaid = isDone;
    },
  };
}
