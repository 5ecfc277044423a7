/** The story of one exchange: credential → identity → decision → token, and never a token without its record. */
import {
  type Attempt,
  beginEvent,
  noteDecision,
  noteDelegation,
  noteIdentity,
  noteRefusal,
  noteRequest,
  noteToken,
} from './attempt.ts';
import { type CallerParts, proveCaller } from './caller.ts';
import { decide } from './decide.ts';
import { draftByFormat } from './draft-by-format.ts';
import { OAuthError, refuse } from './error.ts';
import type { Identity } from './identity.ts';
import type { MintOrReuse } from './mint-or-reuse.ts';
import type { PolicySnapshot } from './policy/snapshot.ts';
import type { AuditSink, Clock, KeyRing, ReplayGuard, Revocations, VerifyDpop } from './ports.ts';
import type { RefusalCap } from './refusal-cap.ts';
import { proveRequest } from './request-proof.ts';
import type { MintedToken } from './token.ts';

export interface ExchangeParts extends CallerParts {
  readonly clock: Clock;
  readonly policy: () => PolicySnapshot;
  readonly revocations: Pick<Revocations, 'refusesNew' | 'epoch'>;
  readonly verifyDpop: VerifyDpop;
  readonly replayGuard: ReplayGuard;
  readonly keyRing: KeyRing;
  readonly mintOrReuse: MintOrReuse;
  /** Its keys sign JWT-SVIDs and nothing else. */
  readonly svidKeyRing: KeyRing;
  readonly audit: AuditSink;
  readonly refusalCap: RefusalCap;
}

/** Resolves with a token whose event is durable; rejects with an `OAuthError`, whatever went wrong. */
export type Exchange = (attempt: Attempt) => Promise<MintedToken>;

export function createExchange(parts: ExchangeParts): Exchange {
  return async (attempt) => {
    const nowMillis = parts.clock.now();
    const event = beginEvent(attempt, 'token.exchange', nowMillis);
    let isRecorded = true;
    try {
      const request = attempt.read();
      noteRequest(event, request);
      const policy = parts.policy(); // one snapshot for the whole attempt
      event.policyRevision = policy.revision;

      // 1. Who is asking, and for whom? Verify the credentials.
      const { identity, delegation, proofs } = await proveCaller(
        parts,
        request,
        policy,
        nowMillis,
        (caller) => noteIdentity(event, caller),
      );
      noteIdentity(event, identity);
      noteDelegation(event, delegation);
      const revocationEpoch = parts.revocations.epoch();
      refuseRevoked(parts.revocations, proofs, nowMillis);

      // Before anything is used up: a client may have to prove its key again, with a nonce of ours.
      const bind = request.proof && (await proveRequest(parts.verifyDpop, request.proof, nowMillis));

      // 2. First use? Only for credentials that their issuer's document makes one-time.
      await claimFirstUse(parts.replayGuard, proofs);

      // 3. and 4. Which grants might apply, and do they permit this? In memory, by index.
      const decision = decide(identity, { ...request, delegation }, policy, nowMillis);
      noteDecision(event, decision);
      if (!decision.permit) return refuse(decision.reason);

      // 5. Token out; the same again where its resource lets tokens be reused.
      const ring = decision.format === 'jwt-svid' ? parts.svidKeyRing : parts.keyRing;
      const signer = ring.signer(decision.resource.signingAlgorithm);
      const draft = draftByFormat[decision.format](signer, {
        issuer: parts.issuer,
        subject: decision.subject,
        clientId: identity.spiffeId,
        act: decision.act,
        audience: decision.resource.audience,
        extraAudiences: decision.resource.extraAudiences,
        scopes: decision.scopes,
        lifetimeSeconds: decision.lifetimeSeconds,
        addedClaims: decision.claims,
        confirmation: bind?.(identity, decision.resource),
        nowMillis,
      });
      const token = await parts.mintOrReuse(signer, draft, {
        minRemainingSeconds: decision.resource.reuseMinRemainingSeconds,
        policyRevision: policy.revision,
        revocationEpoch,
        nowMillis,
      });
      noteToken(event, token);
      return token;
    } catch (error) {
      const refusal = OAuthError.from(error, event.lane);
      noteRefusal(event, refusal);
      const isStranger = event.identity === undefined;
      isRecorded = !isStranger || (await parts.refusalCap(attempt.remoteAddress));
      throw isRecorded ? refusal : new OAuthError('server.rate_limited', { cause: refusal });
    } finally {
      // 6. Recorded, or nothing is released: when this rejects, the token above is never returned.
      if (isRecorded) await parts.audit.append(event);
    }
  };
}

/** Before its first use is claimed and before policy is asked: no grant reaches past a revocation. */
function refuseRevoked(
  revocations: ExchangeParts['revocations'],
  proofs: readonly Identity[],
  nowMillis: number,
): void {
  for (const proof of proofs) {
    const revokedBy = revocations.refusesNew(proof, nowMillis);
    if (revokedBy !== undefined) refuse('policy.identity_revoked', `revoked by ${revokedBy}`);
  }
}

/** The same token sent twice in one request is one use of it. */
export async function claimFirstUse(guard: ReplayGuard, proofs: readonly Identity[]): Promise<void> {
  const expiryByKey = new Map(proofs.map((proof) => [proof.onceKey, proof.expiresAt * 1000]));
  for (const [key, expiresAtMillis] of expiryByKey) {
    if (key === undefined) continue;
    const isFirst = await guard.claim(key, expiresAtMillis).catch((cause) => {
      throw new OAuthError('server.replay_guard_unavailable', { cause });
    });
    if (!isFirst) refuse('credential.replayed');
  }
}
