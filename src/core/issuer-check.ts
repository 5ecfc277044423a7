/** What a check of a sample token against one Issuer document says, step by step; nothing is minted, claimed or stored. */
import type { Reason } from './error.ts';
import type { Identity } from './identity.ts';
import type { PolicySnapshot, TrustedIssuer } from './policy/snapshot.ts';
import type { Secret } from './secret.ts';

export interface CheckStep {
  readonly name: string;
  /** Set where the step failed. */
  readonly reason?: Reason;
  /** Of a failed step what was expected and what was found; it may quote claims, so it is for the caller's eyes only. */
  readonly detail?: string;
}

export interface IssuerCheck {
  /** `unchecked` where only an exchange can tell. */
  readonly verdict: 'accepted' | 'refused' | 'unchecked';
  /** Why verification refuses it; the steps hold the rest. */
  readonly reason?: Reason;
  readonly detail?: string;
  /** Whose token it is, where it is accepted. */
  readonly identity?: Identity;
  readonly steps: readonly CheckStep[];
  /** Other Issuer documents that the token satisfies too, which makes it ambiguous. */
  readonly alsoAcceptedBy: readonly string[];
}

/** Rejects on a fault of ours only: whatever is wrong with the token is said in the result. */
export type CheckIssuer = (
  token: Secret<string>,
  issuer: TrustedIssuer,
  policy: PolicySnapshot,
  nowMillis: number,
) => Promise<IssuerCheck>;
