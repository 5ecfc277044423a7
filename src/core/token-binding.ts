/** What a token is bound to (RFC 7800), and whether whoever sends it has shown that: a key (RFC 9449) or a certificate (RFC 8705). */
import { hash } from 'node:crypto';
import { refuse } from './error.ts';
import type { OwnToken } from './own-token.ts';
import type { ShownProof, VerifyDpop, VerifyOwnToken } from './ports.ts';

/** How a token was sent, and what came with it that was proven. */
export interface ShownBinding {
  /** Of the `Authorization` header; a token that came in another way came as `Bearer`. */
  readonly scheme: 'Bearer' | 'DPoP';
  /** Thumbprint of the key that made the DPoP proof; the proof was verified, with this token as its `ath`. */
  readonly jkt?: string | undefined;
  /** The leaf that the client showed, in DER; its private key was proven in the handshake. */
  readonly certificate?: Uint8Array | undefined;
}

/**
 * Returns where the binding holds. A token that is bound to nothing is fine beside a certificate, which whoever calls from
 * a mesh shows on every call; a proof is made on purpose, so that a token which is bound to no key is refused beside one
 * (RFC 9449 §7.1). Refuses with `token.binding_…`.
 */
export function requireBinding(
  { confirmation, subject }: Pick<OwnToken, 'confirmation' | 'subject'>,
  shown: ShownBinding,
): void {
  const whose = `sub ${subject}`; // it is ours and in force, and somebody may have stolen it

  const isKeyBound = confirmation !== undefined && 'jkt' in confirmation;
  if (isKeyBound !== (shown.scheme === 'DPoP')) {
    refuse('token.binding_scheme', `${whose}: the token is ${isKeyBound ? '' : 'not '}bound to a DPoP key`);
  }
  if (confirmation === undefined) return;
  const actual = isKeyBound ? shown.jkt : shown.certificate && thumbprintOf(shown.certificate);
  if (actual === undefined) refuse('token.binding_missing', whose);
  const expected = 'jkt' in confirmation ? confirmation.jkt : confirmation['x5t#S256'];
  if (actual !== expected) refuse('token.binding_mismatch', whose);
}

/** `x5t#S256` of a certificate in DER (RFC 8705 §3.1). */
export function thumbprintOf(certificate: Uint8Array): string {
  return hash('sha256', certificate, 'base64url');
}

/** A token of ours as somebody sent it to us, with all that it may need beside it. */
export interface ShownToken {
  readonly scheme: ShownBinding['scheme'];
  readonly token: string;
  readonly proof: ShownProof | undefined;
  /** Only asked where the token is bound to one. */
  readonly certificate: () => Uint8Array | undefined;
}

export type VerifyShownToken = (shown: ShownToken, nowMillis: number) => Promise<OwnToken>;

/**
 * For endpoints of our own: the token is ours, in force, and bound to what came with it (RFC 9449 §7.1). The token first, so
 * that nobody without one can have a proof remembered. Rejects with `token.…` or `dpop.…`.
 */
export function createVerifyShownToken(
  verifyOwnToken: VerifyOwnToken,
  verifyDpop: VerifyDpop,
): VerifyShownToken {
  return async ({ scheme, token, proof, certificate }, nowMillis) => {
    const verified = await verifyOwnToken(token, nowMillis);
    const isCertificateBound = verified.confirmation !== undefined && 'x5t#S256' in verified.confirmation;
    const shown = { scheme, certificate: isCertificateBound ? certificate() : undefined };
    if (scheme === 'Bearer') {
      requireBinding(verified, shown);
      return verified;
    }
    if (proof === undefined) return refuse('dpop.proof_missing');
    const { jkt } = await verifyDpop({ ...proof, accessToken: token }, nowMillis);
    requireBinding(verified, { ...shown, jkt });
    return verified;
  };
}
