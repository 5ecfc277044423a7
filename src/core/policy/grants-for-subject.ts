/** The grants that a workload of this SPIFFE ID could have, whoever vouches for it: for looking grants up, never for deciding. */
import { coversSpiffeId } from '../match.ts';
import { type SpiffeId, trustDomainOf } from '../spiffe-id.ts';
import type { Grant, PolicySnapshot } from './snapshot.ts';

/**
 * Grants whose `spiffeId`, `prefix`, `pattern` or `trustDomain` covers the ID, and those of an `issuer` whose template can
 * give it. What the issuer's `require` and its keys say of the workload is not looked at, nor a grant's condition, nor whether it has ended.
 */
export function grantsForSubject(snapshot: PolicySnapshot, spiffeId: SpiffeId): readonly Grant[] {
  const vouching = issuersThatCanGive(snapshot, spiffeId);
  return [...snapshot.resourcesByAudience.values()]
    .flatMap((resource) => snapshot.grantsOn(resource, Number.POSITIVE_INFINITY))
    .filter(({ subjects }) =>
      subjects.some((subject) =>
        'issuer' in subject ? vouching.has(subject.issuer) : coversSpiffeId(subject, spiffeId),
      ),
    );
}

/** Issuers name their workloads in our own trust domain alone. */
function issuersThatCanGive(snapshot: PolicySnapshot, spiffeId: SpiffeId): ReadonlySet<string> {
  const trustDomain = trustDomainOf(spiffeId);
  if (trustDomain !== snapshot.trustDomain) return new Set();
  const path = spiffeId.slice(`spiffe://${trustDomain}`.length);
  const giving = [...snapshot.issuers.values()].flat().filter(({ subject }) => subject.canGive(path));
  return new Set(giving.map(({ name }) => name));
}
