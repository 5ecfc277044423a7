/** A snapshot out of its compiled parts, whether they were compiled anew or amended. */
import type { PolicySnapshot } from './snapshot.ts';

/** The parts with the ways to look into their grants. */
export function assembleSnapshot(
  parts: Omit<PolicySnapshot, 'grantsFor' | 'defaultGrantsFor' | 'grantsOn'>,
): PolicySnapshot {
  const { grants } = parts.basis;
  return {
    ...parts,
    grantsFor: (identity, resource) => grants.for(identity, resource.name),
    defaultGrantsFor: (identity) => grants.defaultsFor(identity),
    grantsOn: (resource, limit) => grants.on(resource.name, limit),
  };
}
