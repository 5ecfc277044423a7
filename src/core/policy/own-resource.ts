/** The built-in resource of Mintmark itself, for what is no administration: its name, its audience, its scopes. */
import type { Resource } from './snapshot.ts';

/** No document may stand for it. */
export const ownResourceName = 'mintmark';
/** RFC 7662 §2.1: what a resource server shows to introspect the tokens that it gets. */
export const introspectScope = 'tokens:introspect';

const tokenLifetimeSeconds = 600;

/** A part of every policy; its audience is our issuer identifier. Grants on it are like any others. */
export function ownResource(issuer: string): Resource {
  return {
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
}
