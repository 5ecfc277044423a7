/** Which scopes a change of policy needs, by what it changes. Whoever can change a key source, or who is an admin, can be anyone. */
import { isDeepStrictEqual } from 'node:util';
import { isJsonObject } from '../json.ts';
import { adminResourceName } from './admin-resource.ts';
import type { StoredDocument } from './document.ts';

type PolicyScope = 'policy:write' | 'policy:admin';

/**
 * `policy:write` for every change; `policy:admin` besides where an Issuer, a TrustDomain or a grant of the admin API is
 * added, removed or altered. The order of documents and fields is no change.
 */
export function scopesNeeded(
  before: readonly StoredDocument[],
  after: readonly StoredDocument[],
): readonly PolicyScope[] {
  const [was, is] = [before, after].map((documents) => new Map(documents.filter(decidesWhoIsWho).map(keyed)));
  const isSame = isDeepStrictEqual(was, is);
  return isSame ? ['policy:write'] : ['policy:write', 'policy:admin'];
}

function decidesWhoIsWho({ kind, body }: StoredDocument): boolean {
  if (kind === 'Issuer' || kind === 'TrustDomain') return true;
  return (
    kind === 'Grant' &&
    isJsonObject(body) &&
    isJsonObject(body.spec) &&
    body.spec.resource === adminResourceName
  );
}

function keyed(document: StoredDocument): [string, StoredDocument] {
  return [`${document.kind}/${document.name}`, document];
}
