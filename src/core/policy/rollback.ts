/** The policy of an earlier revision, as the next change. */
import { isDeepStrictEqual } from 'node:util';
import type { StoredDocument } from './document.ts';
import { ManagedByFile } from './refused.ts';
import { type PolicySource, sourcesFromStored } from './source.ts';

/**
 * What REST has to write so that the stored policy becomes the earlier one. Throws ManagedByFile where that would take a
 * change of what the operator's file holds, now or then.
 */
export function sourcesToRollBack(
  stored: readonly StoredDocument[],
  earlier: readonly StoredDocument[],
): PolicySource[] {
  const [now, then] = [ofFile(stored), ofFile(earlier)];
  const names = [...new Set([...now.keys(), ...then.keys()])].sort();
  const contested = names.filter((name) => !isDeepStrictEqual(now.get(name), then.get(name)));
  if (contested.length > 0) throw new ManagedByFile(contested);
  return sourcesFromStored(earlier.filter(({ managedBy }) => managedBy === 'rest'));
}

function ofFile(documents: readonly StoredDocument[]): ReadonlyMap<string, StoredDocument> {
  const theirs = documents.filter(({ managedBy }) => managedBy === 'file');
  return new Map(theirs.map((document) => [`${document.kind}/${document.name}`, document]));
}
