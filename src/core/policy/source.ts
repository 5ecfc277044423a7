/** One document as it was read, knowing where each of its fields stands. */
import { isJsonObject, type Json } from '../json.ts';
import { type Kind, kinds, type ManagedBy, type StoredDocument } from './document.ts';

export type FieldPath = readonly (string | number)[];

export interface PolicySource {
  readonly value: unknown;
  readonly managedBy: ManagedBy;
  /** Where the field, or the nearest thing around it, stands. */
  readonly locate: (path: FieldPath) => { readonly file?: string; readonly line?: number };
}

/** A field's path as admins write it: `spec.scopes[0]`, `spec.require["kubernetes.io.namespace"]`. */
export function describeField(path: FieldPath): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(part)) return `${text}[${JSON.stringify(part)}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

/** Stored documents, ready to be compiled; they have no file, so no lines. */
export function sourcesFromStored(documents: readonly StoredDocument[]): PolicySource[] {
  return documents.map(({ body, managedBy }) => ({ value: body, managedBy, locate: () => ({}) }));
}

/** The sources of a policy that has compiled, ready to be stored. Throws a TypeError on a value that is no policy document. */
export function storedFromSources(sources: readonly PolicySource[]): StoredDocument[] {
  return sources.map((source) => {
    const named = documentName(source.value);
    if (named === undefined) throw new TypeError(`${documentLabel(source.value)} is not a policy document`);
    return { ...named, managedBy: source.managedBy, body: source.value as Json };
  });
}

/** Kind and name of a value that has both, whatever else may be wrong with it. */
export function documentName(value: unknown): { readonly kind: Kind; readonly name: string } | undefined {
  if (!isJsonObject(value) || !isJsonObject(value.metadata)) return undefined;
  const kind = kinds.find((known) => known === value.kind);
  const { name } = value.metadata;
  return kind === undefined || typeof name !== 'string' ? undefined : { kind, name };
}

/** Kind and name where a value has them, for naming the document in a message. */
export function documentLabel(value: unknown): string {
  if (!isJsonObject(value)) return 'document';
  const kind = typeof value.kind === 'string' ? value.kind : 'document';
  const { metadata } = value;
  const name = isJsonObject(metadata) && typeof metadata.name === 'string' ? metadata.name : undefined;
  return name === undefined ? kind : `${kind}/${name}`;
}
