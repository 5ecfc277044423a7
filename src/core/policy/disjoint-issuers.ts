/** Finds Issuer documents that one token could satisfy twice: one `iss`, keys that can overlap, claims that do not tell them apart. */
import { inlineKeyMarks } from './inline-keys.ts';
import type { TrustedIssuer } from './snapshot.ts';

/**
 * For each issuer that shares its `iss` with an earlier one that a token of its own could satisfy too, that earlier one.
 * Documents that pin the same claim are compared only where they pin the same value. Key sets at different `jwksUri`
 * count as different: the exchange itself refuses a token that satisfies two issuers nevertheless.
 */
export function findOverlaps(issuers: readonly TrustedIssuer[]): ReadonlyMap<TrustedIssuer, TrustedIssuer> {
  const overlaps = new Map<TrustedIssuer, TrustedIssuer>();
  const marksOf = new Map(issuers.map((issuer) => [issuer, inlineKeyMarks(issuer.keys.jwks)]));
  const keysCanOverlap = (a: TrustedIssuer, b: TrustedIssuer): boolean => {
    if (a.keys.discovery === true || b.keys.discovery === true) return true;
    if (a.keys.jwksUri !== undefined && a.keys.jwksUri === b.keys.jwksUri) return true;
    if (a.keys.tokenReview !== undefined && a.keys.tokenReview.url === b.keys.tokenReview?.url) return true;
    if (a.keys.regionCertificates !== undefined && b.keys.regionCertificates !== undefined) return true;
    return marksOf.get(a)?.isDisjointFrom(marksOf.get(b) ?? new Set()) === false;
  };
  for (const sharing of Map.groupBy(issuers, (issuer) => issuer.issuerUrl).values()) {
    for (const [earlier, later] of candidatePairs(sharing)) {
      if (!overlaps.has(later) && keysCanOverlap(earlier, later) && !requireDisjoint(earlier, later)) {
        overlaps.set(later, earlier);
      }
    }
  }
  return overlaps;
}

/** Every pair but those that the most often pinned claim tells apart, without looking at each pair. */
function* candidatePairs(
  sharing: readonly TrustedIssuer[],
): Generator<readonly [TrustedIssuer, TrustedIssuer]> {
  const path = mostPinnedPath(sharing);
  const unpinned: TrustedIssuer[] = [];
  const byValue = new Map<unknown, TrustedIssuer[]>();
  for (const [index, issuer] of sharing.entries()) {
    const pin = issuer.require.find((entry) => entry.path === path);
    if (pin === undefined) {
      for (const earlier of sharing.slice(0, index)) yield [earlier, issuer];
      unpinned.push(issuer);
      continue;
    }
    for (const earlier of unpinned) yield [earlier, issuer];
    for (const value of new Set(pin.values)) {
      const alike = byValue.get(value) ?? [];
      for (const earlier of alike) yield [earlier, issuer];
      alike.push(issuer);
      byValue.set(value, alike);
    }
  }
}

function mostPinnedPath(sharing: readonly TrustedIssuer[]): string | undefined {
  const counts = new Map<string, number>();
  for (const { path } of sharing.flatMap((issuer) => issuer.require)) {
    counts.set(path, (counts.get(path) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
}

/**
 * Both pin one claim, and share no value of it: a claim that is one value meets at most one of them. A claim that is a
 * list may still meet both; the exchange refuses that token as ambiguous.
 */
function requireDisjoint(a: TrustedIssuer, b: TrustedIssuer): boolean {
  return a.require.some(({ path, values }) => {
    const other = b.require.find((entry) => entry.path === path);
    return other !== undefined && !other.values.some((value) => values.includes(value));
  });
}
