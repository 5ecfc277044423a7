/** An unproven credential as it came in, and which verifier it belongs to. */
import type { Lane } from './error.ts';
import type { Secret } from './secret.ts';

/** What the caller says the credential is; `any` where the lane does not say. */
export type DeclaredType = 'any' | 'jwt' | 'jwt-svid' | 'aws4_request' | 'aws-instance-identity';

export interface Credential {
  readonly lane: Lane;
  /** As it was sent; of a certificate chain, the leaf's DER in base64. */
  readonly token: Secret<string>;
  /** Set where the credential is a certificate chain instead of a token: DER, leaf first. */
  readonly chain?: readonly Uint8Array[];
  readonly declaredType: DeclaredType;
}
