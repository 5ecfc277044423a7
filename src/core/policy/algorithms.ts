/** The algorithms that a policy has tokens signed with. */
import type { TokenAlgorithm } from '../algorithm.ts';
import type { PolicySnapshot } from './snapshot.ts';

/** ES256 always: it is the default of every resource to come. */
export function algorithmsOf(snapshot: PolicySnapshot): readonly TokenAlgorithm[] {
  const used = [...snapshot.resourcesByAudience.values()].map(({ signingAlgorithm }) => signingAlgorithm);
  return [...new Set<TokenAlgorithm>(['ES256', ...used])];
}
