/** The claims that a caller asks to have in its token (`additional_claims`), before any grant was looked at. */
import { isClaimName } from './claim-name.ts';
import { maxAddedClaimsBytes, sizeOfClaims } from './claims-size.ts';
import { refuse } from './error.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import { JsonRefused, parseStrictJson } from './strict-json.ts';

/** As a form carries them. Throws an `OAuthError` with a `request.*` reason. */
export function parseAdditionalClaims(text: string | undefined): JsonObject | undefined {
  if (text === undefined) return undefined;
  try {
    return readAdditionalClaims(parseStrictJson(text));
  } catch (error) {
    if (!(error instanceof JsonRefused)) throw error;
    return refuse('request.malformed', 'additional_claims is not strict JSON', error);
  }
}

/**
 * The object, undefined where it is empty: asking for nothing is not asking. Throws an `OAuthError` with a `request.*`
 * reason, also for names that no grant can allow, so that what the audit keeps of a request is harmless.
 */
export function readAdditionalClaims(value: Json): JsonObject | undefined {
  if (!isJsonObject(value)) return refuse('request.malformed', 'additional_claims is not an object');
  const names = Object.keys(value);
  if (names.length === 0) return undefined;
  if (sizeOfClaims(value) > maxAddedClaimsBytes) refuse('request.claims_too_large');
  if (!names.every(isClaimName)) refuse('request.claim_not_allowed');
  return value;
}
