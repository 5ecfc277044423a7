/** A key store in memory, for rings that a test opens itself; it can fail, and be changed by others meanwhile. */
import type { KeyStore, StoredKey } from '../../src/core/ports.ts';

export function memoryKeyStore() {
  let keys: readonly StoredKey[] = [];
  const store = {
    isLost: false,
    /** What another replica does just before our next change. */
    meanwhile: (stored: readonly StoredKey[]): readonly StoredKey[] => stored,
    list: async () => keys,
    change: async (plan: Parameters<KeyStore['change']>[0]) => {
      if (store.isLost) throw new Error('the connection to 10.9.8.7 was lost');
      keys = plan(store.meanwhile(keys));
      return keys;
    },
  };
  return store;
}
