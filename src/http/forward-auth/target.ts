/** What a proxy's configuration says in the path of `/forward-auth/{resource}/{scope+scope}`, read from the bytes as they came. */
import { refuse } from '../../core/error.ts';
import { parseScope } from '../../core/scope.ts';

export interface Target {
  readonly resourceName: string;
  readonly scopes: readonly string[];
  /** What follows, as Envoy appends the path of the request that it asks about. */
  readonly rest: string;
}

export const forwardAuthPrefix = '/forward-auth';
const shape = /^\/forward-auth\/([a-z0-9._-]+)(?:\/([^/?#]*)(\/[^?#]*)?)?(?:[?#]|$)/;
/** Stands where scopes do, and asks for none: needed before a path that the proxy appends. */
const noScopes = '+';

/**
 * Everything below the prefix goes to one place, whatever its method, length and escapes: the router would decode and
 * refuse on its own, with statuses that a proxy takes for a broken server.
 */
export function routeForwardAuth({ url = '/' }: { readonly url?: string | undefined }): string {
  return url.startsWith(`${forwardAuthPrefix}/`) ? `${forwardAuthPrefix}/-/-` : url;
}

/**
 * The query is never read. Scopes are divided by `+` first and percent-decoded then, so `%2B` is a plus within a scope.
 * Throws `policy.unknown_resource` or `request.scope_malformed`.
 */
export function readTarget(url: string): Target {
  const [, resourceName, scopes, rest = ''] = shape.exec(url) ?? [];
  if (resourceName === undefined) return refuse('policy.unknown_resource', 'the path names no resource');
  return { resourceName, scopes: scopes === undefined ? [] : readScopes(scopes), rest };
}

function readScopes(text: string): readonly string[] {
  if (text === noScopes) return [];
  const scopes = text.split('+').map(decode);
  // A space would otherwise make two scopes of one.
  if (scopes.some((scope) => scope === '' || scope.includes(' '))) {
    refuse('request.scope_malformed', 'the path holds an empty scope, or one with a space');
  }
  return parseScope(scopes.join(' ')) ?? [];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    return refuse('request.scope_malformed', 'the path holds an escape that is none', cause);
  }
}
