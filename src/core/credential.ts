/** An unproven credential as it came in, and which verifier it belongs to. */
import type { Lane } from './error.ts';
import type { Secret } from './secret.ts';

/** What the caller says the credential is; `any` where the lane does not say. */
export type DeclaredType = 'any' | 'jwt' | 'jwt-svid' | 'aws4_request';

export interface Credential {
  readonly lane: Lane;
  readonly token: Secret<string>;
  readonly declaredType: DeclaredType;
}
