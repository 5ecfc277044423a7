/** Warns of keys in documents that nobody has looked at for too long: when they come into force, and once a day. */
import type { Clock } from '../ports.ts';
import { type PinnedKeysAge, pinnedKeysAges } from './pinned-keys.ts';
import type { PolicySnapshot } from './snapshot.ts';

const dayMillis = 86_400_000;
const daySeconds = 86_400;

interface Warned {
  readonly asOf: string | undefined;
  readonly at: number;
}

/** To be called with each policy that comes into force, and often enough between; it warns of no keys twice a day. */
export function createPinnedKeysAlarm(parts: {
  readonly clock: Clock;
  readonly warn: (message: string) => void;
}): (policy: PolicySnapshot) => void {
  let warned = new Map<string, Warned>();
  return (policy) => {
    const now = parts.clock.now();
    const still = new Map<string, Warned>();
    for (const age of pinnedKeysAges(policy, now)) {
      if (!age.isOverdue) continue;
      const last = warned.get(age.issuer);
      if (last !== undefined && last.asOf === age.asOf && now - last.at < dayMillis) {
        still.set(age.issuer, last);
        continue;
      }
      parts.warn(sentenceOf(age));
      still.set(age.issuer, { asOf: age.asOf, at: now });
    }
    warned = still;
  };
}

function sentenceOf({ issuer, asOf, ageSeconds = 0, warnAfterSeconds }: PinnedKeysAge): string {
  const days = Math.floor(ageSeconds / daySeconds);
  const age = days > 0 ? `${days} days` : `${Math.floor(ageSeconds / 3600)} hours`;
  return `the keys of Issuer ${issuer} are those of ${asOf}, ${age} ago (warnAfter: ${warnAfterSeconds} s): read them anew and renew keys.asOf`;
}
