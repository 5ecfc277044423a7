/** Refuses grants that are bound to give one claim two values. */
import { isDeepStrictEqual } from 'node:util';
import type { Json } from '../json.ts';
import type { Checked } from './check.ts';
import type { GrantDocument } from './document.ts';
import { type Problems, placeOf } from './problems.ts';
import type { Grant } from './snapshot.ts';

/** A value that is set already, and where. */
interface SetClaim {
  readonly value: Json;
  readonly place: (claim: string) => string;
}

/** The cheap certain case of opposed grants: the same subject entry on the same resource. Others show at the exchange. */
export function refuseOpposedClaims(grants: readonly Checked<GrantDocument>[], problems: Problems): void {
  refuseOpposed(grants, new Map(), problems);
}

/** The same for grants that come beside others, which hold among themselves; those that set no claim may be missing. */
export function refuseClaimsOpposedTo(
  others: readonly Grant[],
  grants: readonly Checked<GrantDocument>[],
  problems: Problems,
): void {
  const resources = new Set(
    grants
      .filter(({ document }) => Object.keys(document.spec.claims.set).length > 0)
      .map(({ document }) => document.spec.resource),
  );
  const earlier = new Map<string, SetClaim>();
  for (const { name, resource, subjects, claims } of others) {
    if (!resources.has(resource.name)) continue;
    for (const [claim, value] of Object.entries(claims.set)) {
      for (const subject of subjects) {
        earlier.set(keyOf(resource.name, subject, claim), { value, place: () => `Grant/${name}` });
      }
    }
  }
  refuseOpposed(grants, earlier, problems);
}

function refuseOpposed(
  grants: readonly Checked<GrantDocument>[],
  earlier: Map<string, SetClaim>,
  problems: Problems,
): void {
  for (const { source, document } of grants) {
    const { resource, subjects, claims } = document.spec;
    for (const [name, value] of Object.entries(claims.set)) {
      for (const subject of subjects) {
        const key = keyOf(resource, subject, name);
        const other = earlier.get(key);
        if (other === undefined) {
          earlier.set(key, { value, place: (claim) => placeOf(source, ['spec', 'claims', 'set', claim]) });
        } else if (!isDeepStrictEqual(other.value, value)) {
          problems.add(
            source,
            ['spec', 'claims', 'set', name],
            `${other.place(name)} sets another value for the same subject`,
          );
          break;
        }
      }
    }
  }
}

type SubjectEntry = GrantDocument['spec']['subjects'][number];

function keyOf(
  resource: string,
  { spiffeId, prefix, pattern, trustDomain, issuer }: SubjectEntry,
  claim: string,
): string {
  return JSON.stringify([resource, { spiffeId, prefix, pattern, trustDomain, issuer }, claim]);
}
