/** Claim paths: how a document names one claim, at any depth, in verified claims. */
import { isJsonObject, type Json, type JsonObject } from '../json.ts';

export type ClaimReading =
  | { readonly found: true; readonly value: Json }
  | { readonly found: false; readonly ambiguous: boolean };

const maxPathLength = 512;
const pathPattern = /^[^\s\p{Cc}{}|]+$/u;

/** Whether the text can name a claim: segments joined by dots, none empty, no spaces, no `{`, `}` or `|`. */
export function isClaimPath(text: string): boolean {
  return text.length <= maxPathLength && pathPattern.test(text) && !text.split('.').includes('');
}

/**
 * The claim at `path`. A key that itself holds dots is matched whole (`kubernetes.io.namespace` finds `namespace` under
 * `kubernetes.io`); where the claims give a path two readings, it is ambiguous and has no value.
 */
export function readClaim(claims: JsonObject, path: string): ClaimReading {
  const readings: Json[] = [];
  collectReadings(claims, path.split('.'), readings);
  const [first, second] = readings;
  if (first === undefined) return { found: false, ambiguous: false };
  return second === undefined ? { found: true, value: first } : { found: false, ambiguous: true };
}

/** Visits each object at most once, since the keys above it spell exactly one beginning of the path. */
function collectReadings(claims: JsonObject, segments: readonly string[], readings: Json[]): void {
  let key = '';
  for (const [index, segment] of segments.entries()) {
    key = index === 0 ? segment : `${key}.${segment}`;
    // Own properties only: `constructor` and `__proto__` would otherwise be found in every token.
    if (!Object.hasOwn(claims, key)) continue;
    const value = claims[key];
    if (value === undefined) continue;
    const rest = segments.slice(index + 1);
    if (rest.length === 0) readings.push(value);
    else if (isJsonObject(value)) collectReadings(value, rest, readings);
    if (readings.length > 1) return;
  }
}
