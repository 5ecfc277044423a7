/** What an admin may do, as scopes of the built-in resource `mintmark-admin`. */

import { createHash, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../../core/secret.ts';

export const adminScopes = [
  'policy:read',
  'policy:write',
  'policy:admin',
  'keys:read',
  'keys:rotate',
  'audit:read',
  'tokens:revoke',
  'status:read',
] as const;

export type AdminScope = (typeof adminScopes)[number];

export interface AdminCaller {
  /** Who the audit and the policy's history name. */
  readonly name: string;
  readonly scopes: ReadonlySet<AdminScope>;
}

/** Who presents this token, or undefined. */
export type Authenticate = (token: string) => AdminCaller | undefined;

/** The bootstrap token holds every scope; without one, nobody gets in. Tokens minted for admins are to be added here. */
export function createAuthenticate(bootstrapToken: Secret<string> | undefined): Authenticate {
  if (bootstrapToken === undefined) return () => undefined;
  const expected = digest(bootstrapToken.reveal());
  const bootstrap: AdminCaller = { name: 'bootstrap', scopes: new Set(adminScopes) };
  // Digests have one length, so the comparison tells nothing of the token's.
  return (token) => (timingSafeEqual(digest(token), expected) ? bootstrap : undefined);
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
