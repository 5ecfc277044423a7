/** Sealed tokens for reuse, in this process alone. */
import type { Clock, TokenCache } from '../../core/ports.ts';

interface Entry {
  readonly sealed: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly endsAt: number;
}

/** Past `maxEntries`, the one that was put first is forgotten. */
export function memoryTokenCache(clock: Clock, maxEntries = 4_096): TokenCache {
  const entries = new Map<string, Entry>();
  return {
    get: async (name) => {
      const entry = entries.get(name);
      if (entry === undefined || entry.endsAt > clock.now()) return entry?.sealed;
      entries.delete(name);
      return undefined;
    },
    put: async (name, sealed, ttlSeconds) => {
      // Deleted first, so that the map's order stays the order of putting.
      entries.delete(name);
      if (entries.size >= maxEntries) {
        const [oldest] = entries.keys();
        if (oldest !== undefined) entries.delete(oldest);
      }
      entries.set(name, { sealed, endsAt: clock.now() + ttlSeconds * 1000 });
    },
  };
}
