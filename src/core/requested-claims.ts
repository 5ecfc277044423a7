/** Whether the contributing grants let a caller have the claims that it asks for. */
import { isDeepStrictEqual } from 'node:util';
import type { Check } from './audit.ts';
import type { Reason } from './error.ts';
import type { Json, JsonObject } from './json.ts';
import type { Grant } from './policy/snapshot.ts';

export interface ClaimRefusal {
  readonly reason: Reason;
  /** Names the claim, never its value. */
  readonly check: Check;
}

/**
 * Why not all that is requested may be added to what the grants give already, undefined where it may. At least one grant
 * must name each claim, and every grant that names it must accept the value. What a grant sets or copies is never the
 * caller's to choose, not even where the credential lacks the claim to copy.
 */
export function refusalOfRequested(
  grants: readonly Grant[],
  requested: JsonObject,
  given: ReadonlyMap<string, Json>,
): ClaimRefusal | undefined {
  for (const [name, value] of Object.entries(requested)) {
    const shown = name.slice(0, 128);
    const naming = grants.filter(({ claims }) => claims.allowRequested.has(name));
    if (naming.length === 0) {
      return refusal('request.claim_not_allowed', `a grant whose claims.allowRequested names ${shown}`);
    }
    const schemas = new Set(naming.map(({ claims }) => claims.allowRequested.get(name)));
    const refusing = [...schemas].find((schema) => !schema?.accepts(value));
    if (refusing !== undefined) {
      const grant = naming.find(({ claims }) => claims.allowRequested.get(name) === refusing);
      return refusal('request.claim_invalid', `a value of ${shown} that fits its schema`, grant);
    }
    const giving = grants.find(
      ({ claims }) => Object.hasOwn(claims.set, name) || Object.hasOwn(claims.copy, name),
    );
    if (giving !== undefined && !isDeepStrictEqual(given.get(name), value)) {
      return refusal('request.claim_conflict', `the value of ${shown} that the grant gives`, giving);
    }
  }
  return undefined;
}

function refusal(reason: Reason, expected: string, grant?: Grant): ClaimRefusal {
  const where = grant === undefined ? {} : { grant: grant.name };
  return { reason, check: { check: 'claims.requested', ...where, ok: false, expected } };
}
