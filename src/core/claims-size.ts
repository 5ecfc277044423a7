/** How large the claims that a policy adds to a token may be. */
import type { JsonObject } from './json.ts';

/** In UTF-8, as JSON; resource servers refuse requests whose headers are long. */
export const maxAddedClaimsBytes = 4096;

export function sizeOfClaims(claims: JsonObject): number {
  return Buffer.byteLength(JSON.stringify(claims));
}
