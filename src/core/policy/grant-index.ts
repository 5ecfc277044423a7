/** Finds the grants that cover an identity; the cost grows with the depth of its ID and its trust domain's patterns, not with the number of grants. */
import type { IdentityFields } from '../identity.ts';
import { issuerNameOf } from '../match.ts';
import { trustDomainOf } from '../spiffe-id.ts';
import type { Grant } from './snapshot.ts';
import type { WorkloadPattern } from './workload-pattern.ts';

export interface GrantIndex {
  /** The grants whose subjects cover the identity, by name. */
  find(identity: IdentityFields): readonly Grant[];
}

/** `grants` must be in the order of their names. */
export function indexGrants(grants: readonly Grant[]): GrantIndex {
  const bySpiffeId = new Map<string, Grant[]>();
  const byPrefix = new Map<string, Grant[]>();
  const patternsByTrustDomain = new Map<string, { pattern: WorkloadPattern; grant: Grant }[]>();
  const byTrustDomain = new Map<string, Grant[]>();
  const byIssuer = new Map<string, Grant[]>();
  let longestPrefix = 0;
  for (const grant of grants) {
    for (const subject of grant.subjects) {
      if ('spiffeId' in subject) push(bySpiffeId, subject.spiffeId, grant);
      else if ('trustDomain' in subject) push(byTrustDomain, subject.trustDomain, grant);
      else if ('issuer' in subject) push(byIssuer, subject.issuer, grant);
      else if ('pattern' in subject) {
        const pattern = subject.compiled;
        push(patternsByTrustDomain, pattern.trustDomain, { pattern, grant });
      } else {
        push(byPrefix, subject.prefix, grant);
        longestPrefix = Math.max(longestPrefix, subject.prefix.length);
      }
    }
  }
  return {
    find(identity) {
      const { spiffeId } = identity;
      const issuer = issuerNameOf(identity);
      const trustDomain = trustDomainOf(spiffeId);
      const found = [
        ...(bySpiffeId.get(spiffeId) ?? []),
        ...ancestors(spiffeId, longestPrefix).flatMap((prefix) => byPrefix.get(prefix) ?? []),
        ...(patternsByTrustDomain.get(trustDomain) ?? [])
          .filter(({ pattern }) => pattern.covers(spiffeId))
          .map(({ grant }) => grant),
        ...(byTrustDomain.get(trustDomain) ?? []),
        ...(issuer === undefined ? [] : (byIssuer.get(issuer) ?? [])),
      ];
      return [...new Set(found)].sort(byName);
    },
  };
}

export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** The ID and each ID above it, down to one segment; none longer than any prefix that there is. */
function ancestors(spiffeId: string, longestPrefix: number): readonly string[] {
  const ids: string[] = [];
  const firstSegment = spiffeId.indexOf('/', 'spiffe://'.length) + 1;
  let end = spiffeId.indexOf('/', firstSegment);
  while (end !== -1 && end <= longestPrefix) {
    ids.push(spiffeId.slice(0, end));
    end = spiffeId.indexOf('/', end + 1);
  }
  if (spiffeId.length <= longestPrefix) ids.push(spiffeId);
  return ids;
}

function push<T>(index: Map<string, T[]>, key: string, entry: T): void {
  const entries = index.get(key);
  if (entries === undefined) index.set(key, [entry]);
  else entries.push(entry);
}
