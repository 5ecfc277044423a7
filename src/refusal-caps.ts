/** How many refusals of strangers an address may cause before they are counted and no longer written down. */
import { memoryRateCounter } from './adapters/memory/rate-counter.ts';
import type { RedisStores } from './adapters/redis/open.ts';
import type { Clock } from './core/ports.ts';
import { createRefusalCap, type RefusalCap } from './core/refusal-cap.ts';

const refusalLimit = 120;
const refusalWindowSeconds = 60;

export function openRefusalCaps(
  clock: Clock,
  redis: RedisStores | undefined,
): { readonly refusalCap: RefusalCap; readonly forwardAuthCap: RefusalCap } {
  const localCounter = memoryRateCounter(clock);
  const refusalCap = createRefusalCap({
    shared: redis?.rateCounter ?? localCounter,
    local: localCounter,
    limit: refusalLimit,
    windowSeconds: refusalWindowSeconds,
  });
  // In this process alone: a proxy's refusals cost no round trip, and none of the exchanges from its address.
  const proxyCounter = memoryRateCounter(clock);
  const forwardAuthCap = createRefusalCap({
    shared: proxyCounter,
    local: proxyCounter,
    limit: refusalLimit,
    windowSeconds: refusalWindowSeconds,
  });
  return { refusalCap, forwardAuthCap };
}
