/** Decides a recorded exchange again under two policies; where the audit kept too little to tell, it says so. */

import { isDeepStrictEqual } from 'node:util';
import { maxAudienceLength } from './attempt.ts';
import type { AuditEvent } from './audit.ts';
import { type AskedFor, type Decision, decide } from './decide.ts';
import type { CredentialKind, IdentityFields } from './identity.ts';
import { isJsonObject, type JsonObject } from './json.ts';
import { readClaim } from './policy/claim-path.ts';
import type { Grant, PolicySnapshot } from './policy/snapshot.ts';
import { parseSpiffeId } from './spiffe-id.ts';

/** A refusal's reason, or `permitted`. */
type Verdict = string;

export type Replayed =
  | { readonly change: 'none' | 'unknown' }
  | {
      readonly change: 'newly-permitted' | 'newly-refused';
      readonly requestId: string;
      readonly identity: string;
      readonly audience: string | undefined;
      readonly before: Verdict;
      readonly after: Verdict;
    };

export type ChangedAttempt = Extract<Replayed, { readonly requestId: string }>;

/** Equal changes are told once, by the newest attempt. */
export interface FoldedAttempt extends ChangedAttempt {
  readonly count: number;
}

export interface ReplaySummary {
  /** The attempts that had reached a decision. */
  readonly lookedAt: number;
  /** At most 50 that differ; of how many attempts, the totals say. */
  readonly newlyPermitted: readonly FoldedAttempt[];
  readonly newlyPermittedTotal: number;
  readonly newlyRefused: readonly FoldedAttempt[];
  readonly newlyRefusedTotal: number;
  readonly unknown: number;
}

const credentialKinds: readonly CredentialKind[] = ['platform-token', 'jwt-svid', 'x509-svid'];
const credentialSeconds = 7 * 86_400; // longer than any token of ours, so that it is never what decides
const maxListed = 50;

/** Undefined where the event is of no exchange that reached a decision. Pure: both decisions are made as of `nowMillis`. */
export function replayAttempt(
  event: AuditEvent,
  before: PolicySnapshot,
  after: PolicySnapshot,
  nowMillis: number,
): Replayed | undefined {
  const { identity: id, audience, checks } = event;
  if (event.action !== 'token.exchange' || id === undefined || checks === undefined) return undefined;
  const identity = identityOf(event, id, nowMillis);
  if (event.subject !== undefined) return { change: 'unknown' }; // of the other credentials too little is kept
  const isCut = audience !== undefined && audience.length > maxAudienceLength;
  const asksClaims = (event.requestedClaims ?? []).length > 0; // their values are not kept
  if (identity === undefined || isCut || asksClaims || !isVouchedForAlike(identity, before, after)) {
    return { change: 'unknown' };
  }
  const asked = {
    audience,
    scopes: event.requestedScopes,
    requestedFormat: event.requestedFormat,
    proof: event.proof && { kind: event.proof },
  };
  const was = decideFromKept(identity, asked, before, nowMillis);
  const willBe = decideFromKept(identity, asked, after, nowMillis);
  if (was === undefined || willBe === undefined) return { change: 'unknown' };
  if (was.permit === willBe.permit) return { change: 'none' };
  return {
    change: willBe.permit ? 'newly-permitted' : 'newly-refused',
    requestId: event.requestId,
    identity: id,
    audience,
    before: verdictOf(was),
    after: verdictOf(willBe),
  };
}

export type ReplayAttempts = typeof replayAttempts;

/** The same for many, the newest first. */
export function replayAttempts(
  events: readonly AuditEvent[],
  before: PolicySnapshot,
  after: PolicySnapshot,
  nowMillis: number,
): ReplaySummary {
  const replayed = events.flatMap((event) => replayAttempt(event, before, after, nowMillis) ?? []);
  const changed = replayed.filter((attempt) => 'requestId' in attempt);
  const permitted = changed.filter(({ change }) => change === 'newly-permitted');
  const refused = changed.filter(({ change }) => change === 'newly-refused');
  return {
    lookedAt: replayed.length,
    newlyPermitted: fold(permitted),
    newlyPermittedTotal: permitted.length,
    newlyRefused: fold(refused),
    newlyRefusedTotal: refused.length,
    unknown: replayed.filter(({ change }) => change === 'unknown').length,
  };
}

function fold(attempts: readonly ChangedAttempt[]): readonly FoldedAttempt[] {
  const folded = new Map<string, FoldedAttempt>();
  for (const attempt of attempts) {
    const { identity, audience, before, after } = attempt;
    const key = JSON.stringify([identity, audience, before, after]);
    const earlier = folded.get(key);
    folded.set(key, { ...(earlier ?? attempt), count: (earlier?.count ?? 0) + 1 });
  }
  return [...folded.values()].slice(0, maxListed);
}

function verdictOf(decision: Decision): Verdict {
  return decision.permit ? 'permitted' : decision.reason;
}

function identityOf(event: AuditEvent, id: string, nowMillis: number): IdentityFields | undefined {
  const spiffeId = parseSpiffeId(id);
  const credentialKind = credentialKinds.find((kind) => kind === event.credentialKind);
  if (spiffeId === undefined || credentialKind === undefined) return undefined;
  const claims = event.claims ?? {};
  return {
    spiffeId,
    credentialKind,
    ...(event.issuer === undefined ? {} : { issuer: event.issuer }),
    ...(event.trustDomain === undefined ? {} : { trustDomain: event.trustDomain }),
    claims,
    auditClaims: claims,
    audiences: [],
    clientIds: [],
    expiresAt: nowMillis / 1000 + credentialSeconds,
  };
}

/** Nothing is verified again, so whoever vouched must do so by the same rules; `mode` is the decision's own. */
function isVouchedForAlike(identity: IdentityFields, before: PolicySnapshot, after: PolicySnapshot): boolean {
  const rulesOf = ({ documents }: PolicySnapshot) =>
    documents
      .filter(
        ({ kind, name }) =>
          (kind === 'Issuer' && name === identity.issuer) ||
          (kind === 'TrustDomain' && name === identity.trustDomain),
      )
      .map(({ kind, body }) => [kind, isJsonObject(body) ? withoutMode(body.spec) : body]);
  return isDeepStrictEqual(rulesOf(before), rulesOf(after));
}

function withoutMode(spec: unknown): unknown {
  return typeof spec === 'object' && spec !== null ? { ...spec, mode: undefined } : spec;
}

/** Undefined where a grant that could count reads a claim that was not kept. */
function decideFromKept(
  identity: IdentityFields,
  asked: AskedFor,
  policy: PolicySnapshot,
  nowMillis: number,
): Decision | undefined {
  const decision = decide(identity, asked, policy, nowMillis);
  const grants = [
    ...(asked.audience === undefined ? policy.defaultGrantsFor(identity) : []),
    ...(decision.resource === undefined ? [] : policy.grantsFor(identity, decision.resource)),
  ];
  return grants.every((grant) => isJudgedBy(grant, identity.claims)) ? decision : undefined;
}

/**
 * A claim that is missing may have been absent or not kept: nobody can say. The audit keeps claims by their paths, so that
 * a condition, which walks into objects, finds only those at the top.
 */
function isJudgedBy({ condition, claims }: Grant, kept: JsonObject): boolean {
  const isKept = (path: string) => Object.hasOwn(kept, path) && readClaim(kept, path).found;
  const read = condition?.claimPaths ?? [];
  return (
    read.every((path) => !path.includes('.') && isKept(path)) && Object.values(claims.copy).every(isKept)
  );
}
