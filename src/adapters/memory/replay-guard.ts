/** One-time credentials in this process alone: for a single worker without a database. */
import { createHash } from 'node:crypto';
import { OAuthError } from '../../core/error.ts';
import type { Clock, ReplayGuard } from '../../core/ports.ts';

/** Throws `server.replay_guard_unavailable` when `maxClaims` unexpired claims are held: forgetting one would let it be used again. */
export function memoryReplayGuard(clock: Clock, maxClaims = 1_000_000): ReplayGuard {
  const expiries = new Map<string, number>();
  let nextSweepAt = Number.NEGATIVE_INFINITY;

  const sweep = (nowMillis: number) => {
    nextSweepAt = nowMillis + 1_000;
    for (const [hash, expiresAt] of expiries) if (expiresAt <= nowMillis) expiries.delete(hash);
  };

  return {
    claim: async (key, expiresAt) => {
      const nowMillis = clock.now();
      if (!(expiresAt > nowMillis)) return false;
      const hash = createHash('sha256').update(key).digest('base64');
      const held = expiries.get(hash);
      if (held !== undefined && held > nowMillis) return false;
      // At most one sweep a second: a full guard must not cost a walk over all claims at every call.
      if (expiries.size >= maxClaims && nowMillis >= nextSweepAt) sweep(nowMillis);
      if (held === undefined && expiries.size >= maxClaims) {
        throw new OAuthError('server.replay_guard_unavailable', { detail: 'the replay guard is full' });
      }
      expiries.set(hash, expiresAt);
      return true;
    },
  };
}
