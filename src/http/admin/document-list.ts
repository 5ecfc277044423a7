/** One page of the documents of a kind, by name: filters, and the cursor that goes on where a page ended. */
import { isJsonObject, type Json } from '../../core/json.ts';
import { type Kind, nameSchema, type StoredDocument } from '../../core/policy/document.ts';
import { AdminProblem } from './problem.ts';

export interface DocumentFilter {
  readonly kind: Kind;
  /** Each `key:value`; a document must have them all. */
  readonly labels: readonly string[];
  /** In the name or any string of the document, whatever its case. */
  readonly text: string | undefined;
  /** The resource that a grant is for. */
  readonly resource: string | undefined;
  /** The names that are looked for, where it is not all of them. */
  readonly names: ReadonlySet<string> | undefined;
}

export interface DocumentPage {
  readonly documents: readonly StoredDocument[];
  readonly nextCursor: string | undefined;
}

/** Throws an AdminProblem on a cursor that is none of ours. */
export function listDocuments(
  all: readonly StoredDocument[],
  filter: DocumentFilter,
  page: { readonly limit: number; readonly cursor: string | undefined },
): DocumentPage {
  const after = page.cursor === undefined ? '' : nameFromCursor(page.cursor);
  const found = all
    .filter(
      (document) =>
        document.kind === filter.kind &&
        document.name > after &&
        (filter.names?.has(document.name) ?? true) &&
        isWanted(document, filter),
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const documents = found.slice(0, page.limit);
  const last = found.length > page.limit ? documents.at(-1) : undefined;
  return { documents, nextCursor: last && Buffer.from(last.name).toString('base64url') };
}

function nameFromCursor(cursor: string): string {
  const name = Buffer.from(cursor, 'base64url').toString();
  if (nameSchema.safeParse(name).success && Buffer.from(name).toString('base64url') === cursor) return name;
  throw new AdminProblem('malformed-request', {
    detail: 'cursor: send next_cursor of a page as it was given',
  });
}

function isWanted({ body }: StoredDocument, { labels, text, resource }: DocumentFilter): boolean {
  if (!isJsonObject(body)) return false;
  const own = fieldOf(fieldOf(body, 'metadata'), 'labels');
  const pairs = isJsonObject(own) ? Object.entries(own).map(([key, value]) => `${key}:${value}`) : [];
  return (
    labels.every((label) => pairs.includes(label)) &&
    (text === undefined || holdsText(body, text.toLowerCase())) &&
    (resource === undefined || fieldOf(fieldOf(body, 'spec'), 'resource') === resource)
  );
}

function fieldOf(value: Json | undefined, field: string): Json | undefined {
  return isJsonObject(value) && Object.hasOwn(value, field) ? value[field] : undefined;
}

function holdsText(value: Json, text: string): boolean {
  if (typeof value === 'string') return value.toLowerCase().includes(text);
  return (
    typeof value === 'object' && value !== null && Object.values(value).some((part) => holdsText(part, text))
  );
}
