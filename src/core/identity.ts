/** What a verified credential proves: one SPIFFE ID and the claims behind it. */
import type { JsonObject } from './json.ts';
import type { SpiffeId } from './spiffe-id.ts';

declare const proven: unique symbol;

/** `own-token` is a subject token that we minted: it proves whom it is about, never who presents it. */
export type CredentialKind = 'platform-token' | 'jwt-svid' | 'x509-svid' | 'own-token';

export interface IdentityFields {
  readonly spiffeId: SpiffeId;
  readonly credentialKind: CredentialKind;
  /** The name of the Issuer or TrustDomain document that vouched for it. */
  readonly issuer?: string;
  readonly trustDomain?: string;
  /** The verified claims, whole; for decisions, never for logs. */
  readonly claims: JsonObject;
  /** The part of the claims that the audit may keep. */
  readonly auditClaims: JsonObject;
  /** The credential's own audiences. */
  readonly audiences: readonly string[];
  /** Values of `client_id` that name this same identity. */
  readonly clientIds: readonly string[];
  /** When the credential ends, in seconds since the epoch; no token of ours outlives it. */
  readonly expiresAt: number;
  /** Set where the credential may be used only once (`replay: once`): a key that is unique to it. */
  readonly onceKey?: string;
}

/** A proven identity. Only `credentials/` calls `proveIdentity`, which the architecture test holds it to. */
export type Identity = IdentityFields & { readonly [proven]: true };

/** Marks fields as proven. Call it after the last check of a credential, nowhere else. */
export function proveIdentity(fields: IdentityFields): Identity {
  return Object.freeze({ ...fields }) as Identity;
}

/** The subject, ending no later than another proof of the same identity does. */
export function endingWithEarlier<T extends IdentityFields>(subject: T, other: IdentityFields): T {
  return other.expiresAt < subject.expiresAt
    ? Object.freeze({ ...subject, expiresAt: other.expiresAt })
    : subject;
}
