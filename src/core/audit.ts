/** The record of one attempt: who asked for what, what was decided and why. Never holds a token. */
import type { Lane } from './error.ts';
import type { JsonObject } from './json.ts';
import type { Confirmation } from './own-token.ts';
import type { ProofKind } from './request-proof.ts';
import type { RequestedFormat } from './token-format.ts';

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
  /** Of what came besides it, the same. */
  clientAssertionHash?: string;
  actorTokenHash?: string;
  issuer?: string;
  trustDomain?: string;
  /** Who asked: the client where there is one. */
  identity?: string;
  /** Whom the token was to be about, where a client came with somebody else's subject token or with one of ours. */
  subject?: string;
  /** Whom the token names as acting, the last to act first. */
  actors?: readonly string[];
  claims?: JsonObject;
  /** The target that was asked for, and the Resource document that it named. */
  audience?: string;
  resource?: string;
  requestedScopes?: readonly string[];
  /** Where the caller said which. */
  requestedFormat?: RequestedFormat;
  /** The names of the claims that the caller asked for, never their values. */
  requestedClaims?: readonly string[];
  /** What the caller showed that the token could be bound to. */
  proof?: ProofKind;
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
  /** Present where the token was minted for an earlier exchange. */
  reused?: true;
  /** What the token is bound to: a thumbprint, by its kind. */
  cnf?: Confirmation;
  /** Who acted: an administrator, or in an exchange whom the actor token proved; and what an administrator changed. */
  actor?: string;
  summary?: string;
  /** Of `audit.checkpoint`: the heads of the chains, signed. */
  checkpoint?: string;
}
