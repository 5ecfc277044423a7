/** Counts in this process alone. */
import type { Clock, RateCounter } from '../../core/ports.ts';

interface Window {
  count: number;
  /** Milliseconds since the epoch. */
  readonly endsAt: number;
}

/** A window begins with a key's first count. Past `maxKeys`, the window that began first is forgotten. */
export function memoryRateCounter(clock: Clock, maxKeys = 100_000): RateCounter {
  const windows = new Map<string, Window>();
  return {
    increment: async (key, windowSeconds) => {
      const nowMillis = clock.now();
      const current = windows.get(key);
      if (current !== undefined && current.endsAt > nowMillis) {
        current.count += 1;
        return current.count;
      }
      // Deleted first, so that the map's order stays the order in which windows began.
      windows.delete(key);
      if (windows.size >= maxKeys) {
        const [oldest] = windows.keys();
        if (oldest !== undefined) windows.delete(oldest);
      }
      windows.set(key, { count: 1, endsAt: nowMillis + windowSeconds * 1000 });
      return 1;
    },
  };
}
