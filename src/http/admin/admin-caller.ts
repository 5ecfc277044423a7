/** Who calls the admin API: the holder of the bootstrap token, or of a token that Mintmark minted for it. */

import { createHash, timingSafeEqual } from 'node:crypto';
import { refuse } from '../../core/error.ts';
import { requireSoleAudience } from '../../core/own-token.ts';
import { type AdminScope, adminScopes } from '../../core/policy/admin-resource.ts';
import type { Secret } from '../../core/secret.ts';
import type { ShownToken, VerifyShownToken } from '../../core/token-binding.ts';

export type { AdminScope };

export interface AdminCaller {
  /** Who the audit and the policy's history name: `bootstrap`, or a SPIFFE ID. */
  readonly name: string;
  readonly scopes: ReadonlySet<AdminScope>;
}

/** Who presents this token at this time. Rejects with an `OAuthError` `admin.token_…`, `token.…`, `dpop.…` or `admin.grant_missing`. */
export type Authenticate = (shown: ShownToken, nowMillis: number) => Promise<AdminCaller>;

export interface AuthenticateParts {
  /** Holds every scope; undefined switches it off. */
  readonly bootstrapToken: Secret<string> | undefined;
  readonly verifyShownToken: VerifyShownToken;
  /** Of the admin API; a token must be for it alone. */
  readonly audience: string;
  /** What the policy in force gives this identity on the admin API. */
  readonly scopesOf: (spiffeId: string, nowMillis: number) => ReadonlySet<AdminScope>;
}

export function createAuthenticate(parts: AuthenticateParts): Authenticate {
  const isBootstrap = bootstrapMatcher(parts.bootstrapToken);
  return async (shown, nowMillis) => {
    const { scheme, token } = shown;
    if (scheme === 'Bearer' && isBootstrap(token)) return { name: 'bootstrap', scopes: new Set(adminScopes) };
    if (token.split('.', 4).length !== 3) refuse('admin.token_refused');
    const verified = await parts.verifyShownToken(shown, nowMillis);
    requireSoleAudience(verified, parts.audience);
    const { subject, scopes } = verified;
    // Asked anew for each request: a grant that is taken away ends the tokens that it gave.
    const granted = parts.scopesOf(subject, nowMillis);
    if (granted.size === 0) refuse('admin.grant_missing', `sub ${subject}`);
    return { name: subject, scopes: new Set([...granted].filter((scope) => scopes.includes(scope))) };
  };
}

function bootstrapMatcher(bootstrapToken: Secret<string> | undefined): (token: string) => boolean {
  if (bootstrapToken === undefined) return () => false;
  const expected = digest(bootstrapToken.reveal());
  // Digests have one length, so the comparison tells nothing of the token's.
  return (token) => timingSafeEqual(digest(token), expected);
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
