/** All grants of a policy, found by identity and resource; a change of a few leaves the large index of the others as it is. */
import type { IdentityFields } from '../identity.ts';
import { byName, type GrantIndex, indexGrants } from './grant-index.ts';
import type { Grant } from './snapshot.ts';

export interface GrantSet {
  named(name: string): Grant | undefined;
  /** Those by which others are checked: with a condition, a pattern or a claim of their own. In no order. */
  notable(): readonly Grant[];
  /** The first grants of the resource by name, whoever they are for. */
  on(resource: string, limit: number): readonly Grant[];
  /** Those of the resource whose subjects match, by name. */
  for(identity: IdentityFields, resource: string): readonly Grant[];
  /** Those marked `default` whose subjects match, by name. */
  defaultsFor(identity: IdentityFields): readonly Grant[];
  /** The set with these grants put into it, or in the place of those of their names, and without those that are `gone`. */
  amended(put: readonly Grant[], gone: readonly string[]): GrantSet;
}

interface IndexedGrants {
  /** By name. */
  readonly all: readonly Grant[];
  readonly notable: readonly Grant[];
  readonly byResource: ReadonlyMap<string, readonly Grant[]>;
  readonly indexByResource: ReadonlyMap<string, GrantIndex>;
  readonly defaults: GrantIndex;
}

/** Past so many changes everything is indexed anew: 100,000 grants take about 50 ms. */
const maxOutdated = 1_000;

export function grantSet(grants: readonly Grant[]): GrantSet {
  return layered(index(grants), new Set(), index([]));
}

/** `outdated` names the grants that `base` no longer speaks for; `recent` holds what they have become, and what is new. */
function layered(base: IndexedGrants, outdated: ReadonlySet<string>, recent: IndexedGrants): GrantSet {
  const isCurrent = ({ name }: Grant) => !outdated.has(name);

  /** What is found in both parts, by name; of the first part no more than `enough` are looked at. */
  function merge(
    find: (grants: IndexedGrants) => readonly Grant[],
    enough = Number.POSITIVE_INFINITY,
  ): readonly Grant[] {
    const found = find(base);
    if (outdated.size === 0) return found;
    return [...found.slice(0, enough).filter(isCurrent), ...find(recent)].sort(byName);
  }

  return {
    named: (name) => nameIn(outdated.has(name) ? recent.all : base.all, name),
    notable: () => [...base.notable.filter(isCurrent), ...recent.notable],
    on: (resource, limit) =>
      merge((grants) => grants.byResource.get(resource) ?? [], limit + outdated.size).slice(0, limit),
    for: (identity, resource) =>
      merge((grants) => grants.indexByResource.get(resource)?.find(identity) ?? []),
    defaultsFor: (identity) => merge((grants) => grants.defaults.find(identity)),
    amended: (put, gone) => {
      const touched = new Set([...put.map(({ name }) => name), ...gone]);
      const isTouched = ({ name }: Grant) => touched.has(name);
      const nowOutdated = new Set([...outdated, ...touched]);
      const nowRecent = [...recent.all.filter((grant) => !isTouched(grant)), ...put];
      return nowOutdated.size > maxOutdated
        ? grantSet([...base.all.filter(({ name }) => !nowOutdated.has(name)), ...nowRecent])
        : layered(base, nowOutdated, index(nowRecent));
    },
  };
}

function isNotable({ condition, subjects, claims, delegation }: Grant): boolean {
  return (
    condition !== undefined ||
    delegation !== undefined ||
    Object.keys(claims.set).length > 0 ||
    subjects.some((subject) => 'pattern' in subject)
  );
}

/** By halves: `grants` are in the order of their names. */
function nameIn(grants: readonly Grant[], name: string): Grant | undefined {
  let [low, high] = [0, grants.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((grants[middle]?.name ?? '') < name) low = middle + 1;
    else high = middle;
  }
  return grants[low]?.name === name ? grants[low] : undefined;
}

function index(unsorted: readonly Grant[]): IndexedGrants {
  const grants = unsorted.toSorted(byName);
  const byResource = Map.groupBy(grants, ({ resource }) => resource.name);
  return {
    all: grants,
    notable: grants.filter(isNotable),
    byResource,
    indexByResource: new Map(
      [...byResource].map(([resource, itsGrants]) => [resource, indexGrants(itsGrants)]),
    ),
    defaults: indexGrants(grants.filter((grant) => grant.isDefault)),
  };
}
