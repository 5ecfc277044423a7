/** One attempt to get a token, and the audit event that is filled in as its facts arrive. */
import { hash } from 'node:crypto';
import type { AuditEvent } from './audit.ts';
import { clip } from './clip.ts';
import type { Credential } from './credential.ts';
import type { Decision } from './decide.ts';
import { actorsOf, type Delegation } from './delegation.ts';
import type { OAuthError } from './error.ts';
import type { Identity } from './identity.ts';
import type { TokenRequest } from './request.ts';
import type { MintedToken } from './token.ts';

/** Of an audience that the audit keeps whole; what is longer was cut. */
export const maxAudienceLength = 512;

export interface Attempt {
  /** A UUID that every answer to this attempt carries. */
  readonly requestId: string;
  readonly remoteAddress: string;
  /** The caller's `traceparent` as it came: anybody may write one. */
  readonly traceParent?: string | undefined;
  /** Reads what is asked; throws an `OAuthError` where it cannot be read, which is recorded like any refusal. */
  readonly read: () => TokenRequest;
}

/** Failed until its outcome is known. `at` is in milliseconds. */
export function beginEvent(
  attempt: Pick<Attempt, 'requestId' | 'remoteAddress'>,
  action: string,
  at: number,
): AuditEvent {
  return {
    requestId: attempt.requestId,
    at,
    outcome: 'failed',
    action,
    remoteAddress: attempt.remoteAddress,
  };
}

export function noteRequest(event: AuditEvent, request: TokenRequest): void {
  noteCredential(event, request.credential);
  const { clientAssertion, actorToken } = request;
  if (clientAssertion !== undefined) event.clientAssertionHash = hashOfCredential(clientAssertion);
  if (actorToken !== undefined) event.actorTokenHash = hashOfCredential(actorToken);
  if (request.audience !== undefined) event.audience = clip(request.audience, maxAudienceLength + 1);
  if (request.scopes !== undefined) event.requestedScopes = request.scopes;
  if (request.requestedFormat !== undefined) event.requestedFormat = request.requestedFormat;
  if (request.proof !== undefined) event.proof = request.proof.kind;
  if (request.additionalClaims !== undefined) event.requestedClaims = Object.keys(request.additionalClaims);
}

export function noteCredential(event: AuditEvent, credential: Omit<Credential, 'declaredType'>): void {
  event.lane = credential.lane;
  event.credentialHash = hashOfCredential(credential);
}

export function noteIdentity(event: AuditEvent, identity: Identity): void {
  event.identity = identity.spiffeId;
  event.credentialKind = identity.credentialKind;
  event.claims = identity.auditClaims;
  if (identity.issuer !== undefined) event.issuer = identity.issuer;
  if (identity.trustDomain !== undefined) event.trustDomain = identity.trustDomain;
}

/** `identity` is the client then, and `credentialHash` the subject token's. */
export function noteDelegation(event: AuditEvent, delegation: Delegation | undefined): void {
  if (delegation === undefined) return;
  event.subject = delegation.subject.spiffeId;
  if (delegation.actor !== undefined) event.actor = delegation.actor.spiffeId;
}

export function noteDecision(event: AuditEvent, decision: Decision): void {
  event.checks = decision.checks;
  if (decision.resource !== undefined) event.resource = decision.resource.name;
  if (decision.permit) {
    event.grants = decision.grants.map((grant) => grant.name);
    event.scopes = decision.scopes;
    if (event.requestedFormat !== undefined) event.requestedFormat = decision.format; // a plain `jwt` is one of two
    if (decision.act !== undefined) event.actors = actorsOf(decision.act);
  }
}

export function noteToken(event: AuditEvent, token: MintedToken): void {
  event.outcome = 'permitted';
  event.jti = token.jti;
  event.kid = token.kid;
  event.tokenHash = hashOf(token.accessToken.reveal());
  event.tokenExpiresAt = token.expiresAt;
  if (token.isReused) event.reused = true;
  if (token.confirmation !== undefined) event.cnf = token.confirmation;
}

export function noteRefusal(event: AuditEvent, refusal: OAuthError): void {
  event.outcome = refusal.isOurFault ? 'failed' : 'refused';
  event.reason = refusal.reason;
  event.errorCode = refusal.code;
  if (refusal.detail !== undefined) event.detail = refusal.detail;
}

/** Of a certificate, the hash of the leaf: the same value as `x5t#S256` (RFC 8705 §3.1). */
function hashOfCredential({ token, chain }: Omit<Credential, 'declaredType'>): string {
  return hashOf(chain?.[0] ?? token.reveal());
}

/** SHA-256, base64url: joins events of one token without keeping it. */
function hashOf(token: string | Uint8Array): string {
  return hash('sha256', token, 'base64url');
}
