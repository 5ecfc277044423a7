/** The services that a proxy may guard with us: resources of the policy, by name, and where each would publish its metadata. */
import { adminResourceName } from './admin-resource.ts';
import { ownResourceName } from './own-resource.ts';
import type { PolicySnapshot, Resource } from './snapshot.ts';

/** The resource of that name. Mintmark guards what is its own itself: no proxy has to be shown those tokens. */
export function guardedResource(policy: PolicySnapshot, name: string): Resource | undefined {
  if (name === adminResourceName || name === ownResourceName) return undefined;
  return policy.resourcesByName.get(name);
}

/**
 * RFC 9728 §3: the well-known path stands between host and path of the resource's identifier. Undefined for an audience
 * that is no such identifier (§1.2), so that no client is sent to a place that is none.
 */
export function resourceMetadataUrl(audience: string): string | undefined {
  const url = URL.canParse(audience) ? new URL(audience) : undefined;
  if (url?.protocol !== 'https:' || url.username !== '' || url.search !== '' || url.hash !== '') {
    return undefined;
  }
  if (url.href !== audience && url.origin !== audience) return undefined; // spelt in another way than it is used
  return `${url.origin}/.well-known/oauth-protected-resource${url.pathname === '/' ? '' : url.pathname}`;
}
