/** The algorithms that a policy has tokens signed with. */
import type { TokenAlgorithm } from '../algorithm.ts';
import type { KeyedFormat } from '../token-format.ts';
import type { PolicySnapshot } from './snapshot.ts';

/** Of access tokens, and of the grants that are signed as they are, ES256 always: it is the default of every resource to come. Of JWT-SVIDs none where no resource has them. */
export function algorithmsOf(snapshot: PolicySnapshot, format: KeyedFormat): readonly TokenAlgorithm[] {
  const used = [...snapshot.resourcesByAudience.values()]
    .filter(
      ({ tokenFormats }) =>
        tokenFormats.has(format) || (format === 'access_token' && tokenFormats.has('jwt-grant')),
    )
    .map(({ signingAlgorithm }) => signingAlgorithm);
  return [...new Set<TokenAlgorithm>(format === 'access_token' ? ['ES256', ...used] : used)];
}
