/** An access token of our own, read back: its signature and times hold. Whom it is for is still to be asked. */
import { clip } from './clip.ts';
import { refuse } from './error.ts';
import type { JsonObject } from './json.ts';
import type { SpiffeId } from './spiffe-id.ts';

/** What a token is bound to, as its `cnf` says (RFC 7800): a DPoP key (RFC 9449 §6.1) or a certificate (RFC 8705 §3.1). */
export type Confirmation = { readonly jkt: string } | { readonly 'x5t#S256': string };

export interface OwnToken {
  readonly subject: SpiffeId;
  readonly clientId: string;
  readonly audiences: readonly string[];
  readonly scopes: readonly string[];
  readonly jti: string;
  readonly kid: string;
  /** Seconds since the epoch. */
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** undefined for a bearer token. */
  readonly confirmation: Confirmation | undefined;
  /** As they were signed. */
  readonly claims: JsonObject;
}

/** A token that is also for somebody else could be sent here by them. Refuses with `token.audience_mismatch`. */
export function requireSoleAudience({ audiences, claims }: OwnToken, audience: string): void {
  if (claims.aud === audience) return;
  refuse(
    'token.audience_mismatch',
    `aud: expected ${audience} alone, actual ${clip(audiences.join(' '), 256)}`,
  );
}
