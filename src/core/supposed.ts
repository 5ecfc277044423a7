/** Claims or a SPIFFE ID that nobody has proven, for questions about the policy; what comes of them is never an `Identity`. */
import type { IdentityFields } from './identity.ts';
import type { JsonObject } from './json.ts';
import type { PolicySnapshot } from './policy/snapshot.ts';

export type Supposed =
  | { readonly issuer: string; readonly claims: JsonObject }
  | { readonly spiffeId: string; readonly claims?: JsonObject | undefined };

/**
 * What the verification would make of these claims, were they signed by that issuer, or of this SPIFFE ID, were it
 * proven. Throws an `OAuthError` with a `credential.*` reason where it would refuse them.
 */
export type Suppose = (supposed: Supposed, policy: PolicySnapshot, nowMillis: number) => IdentityFields;
