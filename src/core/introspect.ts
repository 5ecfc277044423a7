/** The story of one introspection (RFC 7662): who asks, what the token is, and whether this caller may know. */
import { beginEvent, noteRefusal } from './attempt.ts';
import type { AuditEvent } from './audit.ts';
import { OAuthError, refuse } from './error.ts';
import type { JsonObject } from './json.ts';
import { coversSpiffeId } from './match.ts';
import { type OwnToken, requireSoleAudience } from './own-token.ts';
import { introspectScope } from './policy/own-resource.ts';
import type { PolicySnapshot } from './policy/snapshot.ts';
import type { AuditSink, Clock, KeyRing, VerifyOwnToken } from './ports.ts';
import type { RefusalCap } from './refusal-cap.ts';
import type { Secret } from './secret.ts';
import { signJwt } from './token.ts';
import type { ShownToken, VerifyShownToken } from './token-binding.ts';

export interface IntrospectRequest {
  /** The caller's own token, and what it showed with it. */
  readonly shown: ShownToken;
  readonly token: Secret<string>;
  /** Whether the answer is to be signed (RFC 9701). */
  readonly isSigned: boolean;
}

export interface IntrospectAttempt {
  readonly requestId: string;
  readonly remoteAddress: string;
  /** Throws an `OAuthError` where the request cannot be read, which is recorded like any refusal. */
  readonly read: () => IntrospectRequest;
}

/** `hidden`: the token is good, and not for this caller to know. */
export type IntrospectionOutcome = 'active' | 'inactive' | 'hidden' | 'refused' | 'failed';

export interface IntrospectParts {
  readonly issuer: string;
  readonly clock: Clock;
  readonly policy: () => PolicySnapshot;
  readonly verifyOwnToken: VerifyOwnToken;
  /** The same for the caller's own token, with what it is bound to. */
  readonly verifyShownToken: VerifyShownToken;
  readonly keyRing: Pick<KeyRing, 'signer'>;
  readonly audit: AuditSink;
  readonly refusalCap: RefusalCap;
  readonly count: (outcome: IntrospectionOutcome) => void;
}

/** The members of the answer, or the answer as a JWT; rejects with an `OAuthError` where the caller is refused. */
export type Introspect = (attempt: IntrospectAttempt) => Promise<JsonObject | { readonly jwt: string }>;

const inactive: JsonObject = { active: false };

export function createIntrospect(parts: IntrospectParts): Introspect {
  return async (attempt) => {
    const nowMillis = parts.clock.now();
    const event: AuditEvent = { ...beginEvent(attempt, 'token.introspect', nowMillis), lane: 'bearer' };
    try {
      const request = attempt.read();
      const caller = await proveCaller(parts, request, event, nowMillis);
      const { outcome, answer } = await look(parts, request.token, caller, nowMillis);
      const sent = request.isSigned ? await sign(parts, answer, caller, nowMillis) : answer;
      parts.count(outcome); // not recorded: a resource server asks at each of its own requests
      return sent;
    } catch (error) {
      const refusal = OAuthError.from(error);
      noteRefusal(event, refusal);
      parts.count(refusal.isOurFault ? 'failed' : 'refused');
      // Past its cap a stranger writes no event.
      if (event.actor === undefined && !(await parts.refusalCap(attempt.remoteAddress))) {
        throw new OAuthError('server.rate_limited', { cause: refusal });
      }
      await parts.audit.append(event);
      throw refusal;
    }
  };
}

async function proveCaller(
  { issuer, verifyShownToken }: IntrospectParts,
  { shown }: IntrospectRequest,
  event: AuditEvent,
  nowMillis: number,
): Promise<OwnToken> {
  const caller = await verifyShownToken(shown, nowMillis);
  event.actor = caller.subject;
  requireSoleAudience(caller, issuer);
  if (!caller.scopes.includes(introspectScope)) refuse('token.scope_missing', introspectScope);
  return caller;
}

/** Everything that the caller may not know reads the same, and is looked at in the same way before. */
async function look(
  { policy, verifyOwnToken }: IntrospectParts,
  token: Secret<string>,
  caller: OwnToken,
  nowMillis: number,
): Promise<{ readonly outcome: IntrospectionOutcome; readonly answer: JsonObject }> {
  const found = await verifyOwnToken(token.reveal(), nowMillis).catch((error) => {
    const refusal = OAuthError.from(error);
    if (refusal.isOurFault) throw refusal;
    return undefined;
  });
  if (found === undefined) return { outcome: 'inactive', answer: inactive };
  const resource = policy().resourcesByAudience.get(found.audiences[0] ?? '');
  const isIntrospector = resource?.introspectors.some((each) => coversSpiffeId(each, caller.subject));
  if (isIntrospector !== true) return { outcome: 'hidden', answer: inactive };
  return { outcome: 'active', answer: activeAnswer(found) };
}

/** RFC 7662 §2.2. The claims that the grants added are in it too: the caller may read them in the token anyway. */
function activeAnswer({ claims, confirmation }: OwnToken): JsonObject {
  const isKeyBound = confirmation !== undefined && 'jkt' in confirmation;
  return { ...claims, active: true, token_type: isKeyBound ? 'DPoP' : 'Bearer' };
}

/** RFC 9701 §5: for this caller alone, and of a type that is no access token; neither `sub` nor `exp` of its own. */
async function sign(
  { issuer, keyRing }: IntrospectParts,
  answer: JsonObject,
  caller: OwnToken,
  nowMillis: number,
): Promise<{ readonly jwt: string }> {
  const signer = keyRing.signer();
  const header = { typ: 'token-introspection+jwt', alg: signer.algorithm, kid: signer.kid };
  const claims = {
    iss: issuer,
    aud: caller.subject,
    iat: Math.floor(nowMillis / 1000),
    token_introspection: answer,
  };
  return { jwt: await signJwt(signer, header, claims) };
}
