/** What the contributing grants add to a token: all of their claims, and never a silent winner among them. */
import { isDeepStrictEqual } from 'node:util';
import type { Check } from './audit.ts';
import { maxAddedClaimsBytes, sizeOfClaims } from './claims-size.ts';
import { clip } from './clip.ts';
import type { Reason } from './error.ts';
import type { Json, JsonObject } from './json.ts';
import { readClaim } from './policy/claim-path.ts';
import type { Grant } from './policy/snapshot.ts';
import { refusalOfRequested } from './requested-claims.ts';

export type AddedClaims =
  | { readonly ok: true; readonly claims: JsonObject; readonly check?: Check }
  | { readonly ok: false; readonly reason: Reason; readonly check: Check };

/**
 * The claims that these grants add for a credential with `verified` claims. A claim to copy that is absent or null is
 * left out; one with two readings refuses, for nobody can say which was meant. `requested` is what the caller asks to have
 * besides. The checks name claims, never values.
 */
export function addedClaims(
  grants: readonly Grant[],
  verified: JsonObject,
  requested: JsonObject = {},
): AddedClaims {
  const values = new Map<string, Json>();
  for (const grant of grants) {
    const conflict = (name: string, actual: string): AddedClaims => ({
      ok: false,
      reason: 'policy.claims_conflict',
      check: {
        check: 'claims',
        grant: grant.name,
        ok: false,
        expected: `one value for ${clip(name)}`,
        actual,
      },
    });
    const ambiguous = Object.entries(grant.claims.copy).find(([, path]) => {
      const reading = readClaim(verified, path);
      return !reading.found && reading.ambiguous;
    });
    if (ambiguous) return conflict(ambiguous[0], 'the claim to copy has two readings');
    for (const [name, value] of claimsOf(grant, verified)) {
      const earlier = values.get(name);
      if (earlier !== undefined && !isDeepStrictEqual(earlier, value)) {
        return conflict(name, 'another grant gives a different one');
      }
      values.set(name, value);
    }
  }
  const refusal = refusalOfRequested(grants, requested, values);
  if (refusal !== undefined) return { ok: false, ...refusal };
  const given = Object.fromEntries(values);
  const claims = { ...given, ...requested };
  const names = Object.keys(claims);
  if (names.length === 0) return { ok: true, claims };
  const bytes = sizeOfClaims(claims);
  const isSmall = bytes <= maxAddedClaimsBytes;
  const check = {
    check: 'claims',
    ok: isSmall,
    expected: `at most ${maxAddedClaimsBytes} bytes`,
    actual: clip(`${bytes} bytes: ${names.join(' ')}`),
  };
  if (isSmall) return { ok: true, claims, check };
  const isOfPolicy = sizeOfClaims(given) > maxAddedClaimsBytes;
  return { ok: false, reason: isOfPolicy ? 'policy.claims_too_large' : 'request.claims_too_large', check };
}

function claimsOf({ claims }: Grant, verified: JsonObject): readonly (readonly [string, Json])[] {
  const copied = Object.entries(claims.copy).flatMap(([name, path]) => {
    const reading = readClaim(verified, path);
    return reading.found && reading.value !== null ? [[name, reading.value] as const] : [];
  });
  return [...Object.entries(claims.set), ...copied];
}
