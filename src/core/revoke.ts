/** The story of one revocation at `POST /oauth/revoke` (RFC 7009): who asks, whose token it is, and durable before it is said. */
import { beginEvent, noteCredential, noteIdentity, noteRefusal } from './attempt.ts';
import type { AuditEvent } from './audit.ts';
import { OAuthError, refuse } from './error.ts';
import { claimFirstUse } from './exchange.ts';
import type { OwnToken } from './own-token.ts';
import type { PolicySnapshot } from './policy/snapshot.ts';
import type { AuditSink, Clock, ReplayGuard, Verify, VerifyOwnToken } from './ports.ts';
import type { RefusalCap } from './refusal-cap.ts';
import type { TokenRequest } from './request.ts';
import type { Revocation } from './revocation.ts';
import type { RevocationBook } from './revocation-book.ts';
import { lastsUntil, momentAfter, tokenLastsUntil } from './revocation-life.ts';
import type { Secret } from './secret.ts';
import type { ShownToken } from './token-binding.ts';

export interface RevokeRequest {
  /** The token of an admin, or the credential by which a client revokes tokens of its own. */
  readonly caller:
    | { readonly shown: ShownToken }
    | { readonly client: Pick<TokenRequest, 'credential' | 'clientId'> };
  readonly token: Secret<string>;
}

export interface RevokeAttempt {
  readonly requestId: string;
  readonly remoteAddress: string;
  /** Throws an `OAuthError` where the request cannot be read, which is recorded like any refusal. */
  readonly read: () => RevokeRequest;
}

export interface RevokeParts {
  readonly clock: Clock;
  readonly policy: () => PolicySnapshot;
  readonly verify: Verify;
  readonly verifyOwnToken: VerifyOwnToken;
  /** Rejects with an `OAuthError` whose code is `invalid_token` where the token is none of an admin. */
  readonly authenticateAdmin: (
    shown: ShownToken,
    nowMillis: number,
  ) => Promise<{ readonly name: string; readonly scopes: ReadonlySet<string> }>;
  readonly replayGuard: ReplayGuard;
  readonly revocations: Pick<RevocationBook, 'revoke'>;
  readonly audit: AuditSink;
  readonly refusalCap: RefusalCap;
}

/** Resolves once the token is good for nothing, or never was; rejects with an `OAuthError`. */
export type Revoke = (attempt: RevokeAttempt) => Promise<void>;

interface Caller {
  readonly name: string;
  /** Whose tokens it may revoke; undefined for all. */
  readonly ownId: string | undefined;
}

export function createRevoke(parts: RevokeParts): Revoke {
  return async (attempt) => {
    const nowMillis = parts.clock.now();
    const event = beginEvent(attempt, 'token.revoke', nowMillis);
    let isRecorded = false;
    try {
      const request = attempt.read();
      const caller = await proveCaller(parts, request, event, nowMillis);
      event.actor = caller.name;
      const found = await findToken(parts.verifyOwnToken, request.token, nowMillis);
      if (found instanceof OAuthError) {
        event.outcome = 'permitted'; // RFC 7009 §2.2: the client's wish is fulfilled already
        event.summary = `nothing to revoke: ${found.reason}`;
        return;
      }
      event.jti = found.jti;
      event.kid = found.kid;
      requireOwn(found, caller);
      await parts.revocations.revoke({
        ...orderOf(found, caller, nowMillis),
        event: (made) => {
          event.outcome = 'permitted';
          event.summary = `revoked ${made.kind} ${made.target}`;
          return event;
        },
      });
      isRecorded = true;
    } catch (error) {
      const refusal = OAuthError.from(error, event.lane);
      noteRefusal(event, refusal);
      delete event.summary; // it tells of what the store then did not do
      // Past its cap a stranger writes no event.
      if (event.actor === undefined && !(await parts.refusalCap(attempt.remoteAddress))) {
        isRecorded = true;
        throw new OAuthError('server.rate_limited', { cause: refusal });
      }
      throw refusal;
    } finally {
      if (!isRecorded) await parts.audit.append(event);
    }
  };
}

async function proveCaller(
  parts: RevokeParts,
  { caller }: RevokeRequest,
  event: AuditEvent,
  nowMillis: number,
): Promise<Caller> {
  if ('shown' in caller) {
    event.lane = 'bearer';
    const { name, scopes } = await parts.authenticateAdmin(caller.shown, nowMillis);
    if (!scopes.has('tokens:revoke')) {
      event.actor = name;
      refuse('admin.scope_missing', 'tokens:revoke');
    }
    return { name, ownId: undefined };
  }
  const { credential, clientId } = caller.client;
  noteCredential(event, credential);
  const identity = await parts.verify(credential, parts.policy(), nowMillis);
  noteIdentity(event, identity);
  event.actor = identity.spiffeId; // known from here on, so that no cap hides what is refused of it
  if (clientId !== undefined && !identity.clientIds.includes(clientId)) refuse('request.client_id_mismatch');
  await claimFirstUse(parts.replayGuard, [identity]);
  return { name: identity.spiffeId, ownId: identity.spiffeId };
}

/** The token, or why there is nothing to revoke of it. */
async function findToken(
  verifyOwnToken: VerifyOwnToken,
  token: Secret<string>,
  nowMillis: number,
): Promise<OwnToken | OAuthError> {
  try {
    return await verifyOwnToken(token.reveal(), nowMillis);
  } catch (error) {
    const refusal = OAuthError.from(error);
    if (refusal.isOurFault) throw refusal;
    if (refusal.reason === 'token.type_mismatch') refuse('request.token_type_irrevocable', refusal.detail);
    return refusal;
  }
}

/** RFC 7009 §2.1: a token that was issued to somebody else is not revoked, and the client is told. */
function requireOwn({ subject, clientId }: OwnToken, { ownId }: Caller): void {
  if (ownId === undefined || ownId === subject || ownId === clientId) return;
  refuse('policy.token_not_own', `sub ${subject}, client_id ${clientId}`);
}

function orderOf(token: OwnToken, { name, ownId }: Caller, at: number) {
  const before = momentAfter(at);
  const common = { subjects: '', at, before, author: name, reason: undefined };
  const single: Omit<Revocation, 'id'> = {
    ...common,
    kind: 'token',
    target: token.jti,
    owner: ownId,
    expiresAt: tokenLastsUntil(token.expiresAt),
  };
  if (ownId === undefined) return single;
  const all: Omit<Revocation, 'id'> = {
    ...common,
    kind: 'identity',
    target: ownId,
    owner: undefined,
    expiresAt: lastsUntil(before),
  };
  return { ...single, instead: all };
}
