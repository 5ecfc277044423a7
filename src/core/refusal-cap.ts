/** How many refusals of credentials that never verified one address may cause, so that strangers cannot fill the audit. */
import type { RateCounter } from './ports.ts';

/** Counts one refusal; false once the address is past its cap. */
export type RefusalCap = (address: string) => Promise<boolean>;

/**
 * The cap holds among all replicas through `shared`; while that is out of reach, each replica counts in `local` alone.
 * The window is in seconds.
 */
export function createRefusalCap(parts: {
  readonly shared: RateCounter;
  readonly local: RateCounter;
  readonly limit: number;
  readonly windowSeconds: number;
}): RefusalCap {
  return async (address) => {
    const key = `refusals:${address}`;
    const count = await parts.shared
      .increment(key, parts.windowSeconds)
      .catch(() => parts.local.increment(key, parts.windowSeconds));
    return count <= parts.limit;
  };
}
