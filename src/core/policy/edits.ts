/** A change of some documents of a policy, and of no others. */
import type { DocumentName } from './diff.ts';
import type { StoredDocument } from './document.ts';
import { documentName, type PolicySource, sourcesFromStored, storedFromSources } from './source.ts';

export interface PolicyEdits {
  /** Documents that are added, or take the place of those of their kind and name. */
  readonly put: readonly PolicySource[];
  readonly remove: readonly DocumentName[];
}

/** The documents after the edits, in their order; what is new comes last. */
export function withEdits(documents: readonly StoredDocument[], edits: PolicyEdits): StoredDocument[] {
  const put = byName(storedFromSources(edits.put));
  const isTouched = matcher(edits);
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
  return documents.filter(matcher(edits));
}

/** All other documents. */
export function untouchedBy(edits: PolicyEdits, documents: readonly StoredDocument[]): StoredDocument[] {
  const isTouched = matcher(edits);
  return documents.filter((document) => !isTouched(document));
}

/** What turned up in a store since it was last read. */
export function editsOf(delta: {
  readonly put: readonly StoredDocument[];
  readonly removed: readonly DocumentName[];
}): PolicyEdits {
  return { put: sourcesFromStored(delta.put), remove: delta.removed };
}

/** Makes no string of its own for any document, since it may be asked of 100,000. */
function matcher({ put, remove }: PolicyEdits): (document: DocumentName) => boolean {
  const named = byName([...put.flatMap(({ value }) => documentName(value) ?? []), ...remove]);
  return ({ kind, name }) => named.get(name)?.some((other) => other.kind === kind) ?? false;
}

function byName<D extends DocumentName>(documents: readonly D[]): ReadonlyMap<string, readonly D[]> {
  return Map.groupBy(documents, ({ name }) => name);
}
