/** The built-in resource of Mintmark itself, for what is no administration: its name, its audience, its scopes. */
import type { Resource } from './snapshot.ts';

/** No document may have that name. */
export const ownResourceName = 'mintmark';
/** RFC 7662 §2.1: what a resource server shows to introspect the tokens that it gets. */
export const introspectScope = 'tokens:introspect';

const tokenLifetimeSeconds = 600;

/**
 * A part of every policy in which no document stands for our issuer identifier, which is its audience: one that does, so
 * that tokens for it are exchanged on, may have the scope as well. Grants on it are like any others.
 */
export function ownResources(issuer: string, written: readonly Resource[]): readonly Resource[] {
  if (written.some(({ audience }) => audience === issuer)) return [];
  const resource: Resource = {
    name: ownResourceName,
    audience: issuer,
    extraAudiences: [],
    scopes: new Set([introspectScope]),
    tokenLifetimeSeconds,
    reuseMinRemainingSeconds: undefined,
    signingAlgorithm: 'ES256',
    introspectors: [],
    proof: 'none',
    tokenFormats: new Set(['access_token']),
  };
  return [resource];
}
