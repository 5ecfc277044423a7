/** The record of one attempt: who asked for what, what was decided and why. Never holds a token. */
import type { Lane } from './error.ts';
import type { JsonObject } from './json.ts';

/** One thing that was looked at on the way to a decision. */
export interface Check {
  readonly check: string;
  readonly grant?: string;
  readonly ok: boolean;
  readonly expected?: string;
  readonly actual?: string;
}

export type Outcome = 'permitted' | 'refused' | 'failed';

export interface AuditEvent {
  readonly requestId: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  outcome: Outcome;
  readonly action: string;
  readonly remoteAddress: string;
  lane?: Lane;
  credentialKind?: string;
  /** SHA-256 of the credential, base64url; joins uses of one credential, and cannot be turned back. */
  credentialHash?: string;
  issuer?: string;
  trustDomain?: string;
  identity?: string;
  claims?: JsonObject;
  /** The target that was asked for, and the Resource document that it named. */
  audience?: string;
  resource?: string;
  requestedScopes?: readonly string[];
  /** The names of the claims that the caller asked for, never their values. */
  requestedClaims?: readonly string[];
  scopes?: readonly string[];
  grants?: readonly string[];
  reason?: string;
  detail?: string;
  errorCode?: string;
  checks?: readonly Check[];
  policyRevision?: number;
  jti?: string;
  /** SHA-256 of the token minted, base64url. */
  tokenHash?: string;
  /** When the token minted expires, in seconds since the epoch. */
  tokenExpiresAt?: number;
  kid?: string;
  /** For administrative actions: who acted, and what changed. */
  actor?: string;
  summary?: string;
  /** Of `audit.checkpoint`: the heads of the chains, signed. */
  checkpoint?: string;
}
