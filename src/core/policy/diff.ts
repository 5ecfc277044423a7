/** What a change of policy changes: documents added, removed and changed, field by field. */
import { isDeepStrictEqual } from 'node:util';
import { isJsonObject, type Json } from '../json.ts';
import type { Kind, StoredDocument } from './document.ts';
import { describeField, type FieldPath } from './source.ts';

export interface FieldChange {
  /** `spec.scopes`; `managedBy` where a document changed hands. */
  readonly field: string;
  /** Absent where the field was not there before. */
  readonly before?: Json;
  /** Absent where the field is gone. */
  readonly after?: Json;
}

export interface DocumentName {
  readonly kind: Kind;
  readonly name: string;
}

export interface DocumentChange extends DocumentName {
  readonly fields: readonly FieldChange[];
}

export interface PolicyDiff {
  readonly added: readonly DocumentName[];
  readonly removed: readonly DocumentName[];
  readonly changed: readonly DocumentChange[];
}

/** Compares by kind and name; the order of documents and of fields is no difference. Each list is in order of kind and name. */
export function diffPolicies(
  before: readonly StoredDocument[],
  after: readonly StoredDocument[],
): PolicyDiff {
  const was = new Map(before.map((document) => [keyOf(document), document]));
  const is = new Map(after.map((document) => [keyOf(document), document]));
  const changed = [...is].flatMap(([key, document]) => {
    const earlier = was.get(key);
    const fields = earlier === undefined ? [] : documentChanges(earlier, document);
    return fields.length === 0 ? [] : [{ ...nameOf(document), fields }];
  });
  return {
    added: [...is]
      .filter(([key]) => !was.has(key))
      .map(([, document]) => nameOf(document))
      .sort(inOrder),
    removed: [...was]
      .filter(([key]) => !is.has(key))
      .map(([, document]) => nameOf(document))
      .sort(inOrder),
    changed: changed.sort(inOrder),
  };
}

export function isEmptyDiff({ added, removed, changed }: PolicyDiff): boolean {
  return added.length + removed.length + changed.length === 0;
}

function documentChanges(before: StoredDocument, after: StoredDocument): FieldChange[] {
  const changes: FieldChange[] = [];
  if (before.managedBy !== after.managedBy) {
    changes.push({ field: 'managedBy', before: before.managedBy, after: after.managedBy });
  }
  collectChanges(before.body, after.body, [], changes);
  return changes;
}

/** Mappings are compared field by field, everything else as a whole. */
function collectChanges(before: Json, after: Json, path: FieldPath, changes: FieldChange[]): void {
  if (!isJsonObject(before) || !isJsonObject(after)) {
    if (!isDeepStrictEqual(before, after)) changes.push({ field: describeField(path), before, after });
    return;
  }
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [was, is] = [before[key], after[key]];
    const field = [...path, key];
    if (was !== undefined && is !== undefined) collectChanges(was, is, field, changes);
    else if (was !== undefined) changes.push({ field: describeField(field), before: was });
    else if (is !== undefined) changes.push({ field: describeField(field), after: is });
  }
}

const keyOf = ({ kind, name }: DocumentName): string => `${kind}/${name}`;
const nameOf = ({ kind, name }: DocumentName): DocumentName => ({ kind, name });

function inOrder(a: DocumentName, b: DocumentName): number {
  const [left, right] = [keyOf(a), keyOf(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}
