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
    const key = `refusals:${networkOf(address)}`;
    const count = await parts.shared
      .increment(key, parts.windowSeconds)
      .catch(() => parts.local.increment(key, parts.windowSeconds));
    return count <= parts.limit;
  };
}

/** Whoever has one address of IPv6 has all 2^64 of its network (RFC 4291 §2.5.1), so they count as one. */
function networkOf(address: string): string {
  const ipv4 = /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (ipv4 !== undefined) return ipv4;
  if (!address.includes(':')) return address;
  const [before = '', after = ''] = address.split('::', 2);
  const [head, tail] = [before, after].map((part) => part.split(':').filter(Boolean));
  const zeros = Array.from({ length: Math.max(0, 8 - (head?.length ?? 0) - (tail?.length ?? 0)) }, () => '0');
  const groups = [...(head ?? []), ...zeros, ...(tail ?? [])].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}
