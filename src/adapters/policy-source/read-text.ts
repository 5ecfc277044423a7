/** Reads policy documents from YAML or JSON text, remembering the line of every field. */
import { type Document, isMap, isNode, isSeq, LineCounter, type Node, parseAllDocuments } from 'yaml';
import { isJsonObject } from '../../core/json.ts';
import type { ManagedBy } from '../../core/policy/document.ts';
import { type PolicyProblem, PolicyRefused } from '../../core/policy/refused.ts';
import { describeField, documentLabel, type FieldPath, type PolicySource } from '../../core/policy/source.ts';
import { lineOf } from './lines.ts';

export interface ReadOptions {
  readonly file?: string;
  readonly managedBy: ManagedBy;
}

const maxCharacters = 64 * 1024 * 1024;
const maxAliases = 100;
const maxProblems = 50; // one mistake can break everything after it

/**
 * The policy documents of a text: YAML of one or many documents, JSON, a list of documents or `{documents: […]}`.
 * PolicyTest documents are left to `readPolicyTests`. Throws PolicyRefused with every syntax error and its line.
 */
export function readPolicyText(text: string, options: ReadOptions): PolicySource[] {
  return readDocuments(text, options).filter((source) => !isPolicyTest(source));
}

/** The PolicyTest documents of a text; they are run, never stored. */
export function readPolicyTests(text: string, options: ReadOptions): PolicySource[] {
  return readDocuments(text, options).filter(isPolicyTest);
}

function isPolicyTest({ value }: PolicySource): boolean {
  return isJsonObject(value) && value.kind === 'PolicyTest';
}

function readDocuments(text: string, options: ReadOptions): PolicySource[] {
  if (text.length > maxCharacters) {
    throw new PolicyRefused([
      problem(options, undefined, 'is larger than 64 MiB: split it into several files'),
    ]);
  }
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text.replace(/^\uFEFF/, ''), {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false, // `refuseOddKeys` does it: the library compares each key with all before it, for minutes
  });
  const documents: readonly Document.Parsed[] = Array.isArray(parsed) ? parsed : [];
  const problems = documents.flatMap((document) =>
    // A warning is about something that would be passed over: an unknown tag, an unknown directive.
    [...document.errors, ...document.warnings].map(({ message, pos, code }) =>
      problem(options, lines.linePos(pos[0]).line, syntaxSentence(code, message)),
    ),
  );
  if (problems.length > 0) throw new PolicyRefused(problems.slice(0, maxProblems));
  return documents.flatMap((document) => readDocument(document, lines, options));
}

function readDocument(document: Document.Parsed, lines: LineCounter, options: ReadOptions): PolicySource[] {
  const { contents } = document;
  if (!isNode(contents)) return [];
  const value = toValue(document, contents, lines, options);
  if (value === null) return []; // nothing but comments between two `---`
  const sourceAt = (at: unknown, base: FieldPath): PolicySource => ({
    value: at,
    managedBy: options.managedBy,
    locate: (path) => {
      const line = lineOf(document, [...base, ...path], lines);
      return { ...fileOf(options), ...(line === undefined ? {} : { line }) };
    },
  });
  if (Array.isArray(value)) return value.map((item, index) => sourceAt(item, [index]));
  if (isJsonObject(value) && Array.isArray(value.documents) && isMap(contents)) {
    const others = Object.keys(value).filter((key) => key !== 'documents');
    const source = sourceAt(value, []);
    if (others.length > 0) {
      throw new PolicyRefused(
        others.map((key) => ({
          document: documentLabel(value),
          field: describeField([key]),
          ...source.locate([key]),
          message: 'is not known beside "documents": leave it out',
        })),
      );
    }
    return value.documents.map((item, index) => sourceAt(item, ['documents', index]));
  }
  return [sourceAt(value, [])];
}

function toValue(
  document: Document.Parsed,
  contents: Node,
  lines: LineCounter,
  options: ReadOptions,
): unknown {
  refuseOddKeys(contents, lines, options);
  try {
    return document.toJS({ maxAliasCount: maxAliases });
  } catch {
    const line = lines.linePos(contents.range?.[0] ?? 0).line;
    throw new PolicyRefused([
      problem(options, line, 'uses aliases that are unknown or that grow too large: write the values out'),
    ]);
  }
}

/**
 * A key that is no string (a list, a number, nothing) would be turned into one in silence, and of two that are the same
 * the last would win in silence.
 */
function refuseOddKeys(node: unknown, lines: LineCounter, options: ReadOptions): void {
  if (isSeq(node)) for (const item of node.items) refuseOddKeys(item, lines, options);
  if (!isMap(node)) return;
  const names = new Set<string>();
  for (const { key, value } of node.items) {
    const line = isNode(key) && key.range ? lines.linePos(key.range[0]).line : undefined;
    if (!isJsonObject(key) || !('value' in key) || typeof key.value !== 'string') {
      throw new PolicyRefused([problem(options, line, 'a field name must be a string: quote it')]);
    }
    if (names.has(key.value)) {
      throw new PolicyRefused([problem(options, line, 'a field stands twice in one mapping: keep one')]);
    }
    names.add(key.value);
    refuseOddKeys(value, lines, options);
  }
}

function syntaxSentence(code: string, message: string): string {
  if (code === 'TAG_RESOLVE_FAILED') return 'holds a YAML tag that is not known here: leave it out';
  return `is not valid YAML or JSON: ${message.split('\n')[0] ?? ''}`;
}

function problem(options: ReadOptions, line: number | undefined, message: string): PolicyProblem {
  return {
    document: 'document',
    field: '',
    ...fileOf(options),
    ...(line === undefined ? {} : { line }),
    message,
  };
}

function fileOf({ file }: ReadOptions): { readonly file?: string } {
  return file === undefined ? {} : { file };
}
