/** The built-in resource of the admin API: its name, its audience, its scopes. */
import type { Resource } from './snapshot.ts';

/** The admin API's own resource; no document may stand for it. */
export const adminResourceName = 'mintmark-admin';
export const adminAudience = (issuer: string): string => `${issuer}/admin/v1`;

/** What an admin may do, as the scopes of that resource. */
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

const adminTokenLifetimeSeconds = 600;

/** A part of every policy. No document can change it, so that no policy makes an admin's token live longer or be signed worse. */
export function adminResource(issuer: string): Resource {
  return {
    name: adminResourceName,
    audience: adminAudience(issuer),
    extraAudiences: [],
    scopes: new Set(adminScopes),
    tokenLifetimeSeconds: adminTokenLifetimeSeconds,
    reuseMinRemainingSeconds: undefined, // an admin's token is one session's own
    signingAlgorithm: 'ES256',
    introspectors: [],
    tokenFormats: new Set(['access_token']),
    proof: 'none',
  };
}
