/** A change of some documents of a policy, and of no others. */
import type { DocumentName } from './diff.ts';
import type { StoredDocument } from './document.ts';
import { documentName, type PolicySource, sourcesFromStored } from './source.ts';

export interface PolicyEdits {
  /** Documents that are added, or take the place of those of their kind and name. */
  readonly put: readonly PolicySource[];
  readonly remove: readonly DocumentName[];
}

/** The same in stored documents, whatever they say. */
export interface StoredChanges {
  readonly put: readonly StoredDocument[];
  readonly removed: readonly DocumentName[];
}

/** The documents after the changes, in their order; what is new comes last. */
export function withChanges(
  documents: readonly StoredDocument[],
  { put: changes, removed }: StoredChanges,
): StoredDocument[] {
  const put = byName(changes);
  const isTouched = matcher([...changes, ...removed]);
  const replaced = new Set<StoredDocument>();
  const kept: StoredDocument[] = [];
  for (const document of documents) {
    if (!isTouched(document)) {
      kept.push(document);
      continue;
    }
    const changed = put.get(document.name)?.find(({ kind }) => kind === document.kind);
    if (changed === undefined) continue;
    kept.push(changed);
    replaced.add(changed);
  }
  const added = [...put.values()].flat().filter((document) => !replaced.has(document));
  return [...kept, ...added];
}

/** The documents that the edits touch, as they stand before them. */
export function touchedBy(edits: PolicyEdits, documents: readonly StoredDocument[]): StoredDocument[] {
  return documents.filter(matcher(namesIn(edits)));
}

/** All other documents. */
export function untouchedBy(edits: PolicyEdits, documents: readonly StoredDocument[]): StoredDocument[] {
  const isTouched = matcher(namesIn(edits));
  return documents.filter((document) => !isTouched(document));
}

/** What turned up in a store since it was last read. */
export function editsOf({ put, removed }: StoredChanges): PolicyEdits {
  return { put: sourcesFromStored(put), remove: removed };
}

function namesIn({ put, remove }: PolicyEdits): readonly DocumentName[] {
  return [...put.flatMap(({ value }) => documentName(value) ?? []), ...remove];
}

/** Makes no string of its own for any document, since it may be asked of 100,000. */
function matcher(names: readonly DocumentName[]): (document: DocumentName) => boolean {
  const named = byName(names);
  return ({ kind, name }) => named.get(name)?.some((other) => other.kind === kind) ?? false;
}

function byName<D extends DocumentName>(documents: readonly D[]): ReadonlyMap<string, readonly D[]> {
  return Map.groupBy(documents, ({ name }) => name);
}
