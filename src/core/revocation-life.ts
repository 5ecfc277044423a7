/** From when on a revocation holds, and until when there is anything for it to cover. */

const secondMillis = 1000;
/** The longest that any token lives; policy allows no more. */
const longestTokenLifeSeconds = 86_400;
/** How far the clocks of those who verify our tokens may be apart from ours. */
const skewSeconds = 60;

/**
 * The first whole second after `at`, since `iat` is in whole seconds: whatever was issued until `at` is before it. Until
 * then nothing new is issued either, so that nobody gets a token that is revoked already.
 */
export function momentAfter(at: number, notUntil?: number): number {
  const next = Math.floor(at / secondMillis) * secondMillis + secondMillis;
  return Math.max(next, Math.ceil((notUntil ?? 0) / secondMillis) * secondMillis);
}

/** When no token that was issued before this moment can be alive. Milliseconds since the epoch. */
export function lastsUntil(before: number): number {
  return before + (longestTokenLifeSeconds + skewSeconds) * secondMillis;
}

/** When a token that says that it ends then (seconds since the epoch) is not accepted anywhere. Milliseconds since the epoch. */
export function tokenLastsUntil(expiresAt: number): number {
  return (expiresAt + skewSeconds) * secondMillis;
}
