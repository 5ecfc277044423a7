/** Whom a subject token is about: a credential as any other, or an access token of our own (RFC 8693 §2.1). */
import type { ProvenSubject, VerifySubject } from '../core/caller.ts';
import type { Act } from '../core/delegation.ts';
import { OAuthError, refuse } from '../core/error.ts';
import { proveIdentity } from '../core/identity.ts';
import { isJsonObject, type Json } from '../core/json.ts';
import type { OwnToken } from '../core/own-token.ts';
import type { Verify, VerifyOwnToken } from '../core/ports.ts';
import { parseSpiffeId } from '../core/spiffe-id.ts';
import { readCompactJws } from './jwt.ts';

export interface SubjectTokenRules {
  /** Our own issuer identifier, exactly as it is published. */
  readonly issuer: string;
  readonly verify: Verify;
  readonly verifyOwnToken: VerifyOwnToken;
}

/** Rejects with an `OAuthError` `credential.…`, or `token.…` where the token says that we minted it. */
export function createVerifySubject({ issuer, verify, verifyOwnToken }: SubjectTokenRules): VerifySubject {
  return async (credential, policy, nowMillis) => {
    const text = credential.token.reveal();
    if (credential.lane !== 'subject_token' || !isOurs(text, issuer)) {
      return { identity: await verify(credential, policy, nowMillis) };
    }
    if (credential.declaredType !== 'jwt') {
      refuse('credential.type_mismatch', `declared ${credential.declaredType}, but it is a token of our own`);
    }
    return subjectOf(await verifyOwnToken(text, nowMillis));
  };
}

/** Only where to look: nothing of the token is believed yet. Others' are not read twice: ours hold `iss` as we write it. */
function isOurs(text: string, issuer: string): boolean {
  const payload = Buffer.from(text.split('.', 2)[1] ?? '', 'base64url');
  if (!payload.includes(`"iss":${JSON.stringify(issuer)}`)) return false;
  try {
    return readCompactJws(text).claims.iss === issuer;
  } catch (error) {
    if (error instanceof OAuthError) return false; // no JWT, which its own verification says better
    throw error;
  }
}

function subjectOf(token: OwnToken): ProvenSubject {
  // RFC 7800: whoever presents a bound token must show the key, and no proof for it comes with a subject token.
  if (token.confirmation !== undefined) refuse('token.proof_missing', 'the subject token is bound to a key');
  const identity = proveIdentity({
    spiffeId: token.subject,
    credentialKind: 'own-token',
    // Nobody can tell which of them an earlier caller chose, so none is copied or kept.
    claims: {},
    auditClaims: {},
    audiences: token.audiences,
    clientIds: [],
    expiresAt: token.expiresAt,
  });
  const { act, may_act: mayAct } = token.claims;
  return {
    identity,
    inherited: {
      scopes: token.scopes,
      ...(act === undefined ? {} : { act: readAct(act) }),
      ...(mayAct === undefined ? {} : { mayAct }),
    },
  };
}

/** As we write it; its depth is bounded by the JSON reader, and is checked before another hop is added. */
function readAct(value: Json): Act {
  const { sub, act } = isJsonObject(value) ? value : {};
  const actor = typeof sub === 'string' ? parseSpiffeId(sub) : undefined;
  if (actor === undefined) return refuse('token.malformed', 'act does not name a SPIFFE ID');
  return { sub: actor, ...(act === undefined ? {} : { act: readAct(act) }) };
}
