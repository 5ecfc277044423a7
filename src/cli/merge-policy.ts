/** What the whole policy becomes when some documents are applied to it. */
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import { describeProblem, type PolicyProblem } from '../core/policy/refused.ts';
import { documentLabel, documentName, type PolicySource } from '../core/policy/source.ts';
import type { ServerPolicy } from './admin-client.ts';
import { CommandFailure } from './exit.ts';

/** The label that remembers which `--set` wrote a document. */
export const setLabel = 'mintmark/set';

export interface MergeOptions {
  readonly set?: string | undefined;
  /** Also drop what the set wrote before and `sources` no longer hold. */
  readonly prune: boolean;
}

/**
 * The documents to send: those that are there, less those that only the file may change, with `sources` put in their
 * place, whole. Throws `CommandFailure` for a document without kind and name, or one that stands twice.
 */
export function mergePolicy(
  current: Pick<ServerPolicy, 'documents' | 'managedByFile'>,
  sources: readonly PolicySource[],
  { set, prune }: MergeOptions,
): readonly unknown[] {
  const applied = new Map(nameSources(sources).map(([key, { value }]) => [key, labelled(value, set)]));
  const byFile = new Set(current.managedByFile.map(({ kind, name }) => `${kind}/${name}`));
  const kept = current.documents.filter((document) => {
    const key = documentLabel(document);
    if (byFile.has(key) || applied.has(key)) return false;
    return !(prune && set !== undefined && setOf(document) === set);
  });
  return [...kept, ...applied.values()];
}

function nameSources(sources: readonly PolicySource[]): readonly (readonly [string, PolicySource])[] {
  const problems: PolicyProblem[] = [];
  const seen = new Set<string>();
  const named = sources.map((source) => {
    const key = documentLabel(source.value);
    const problem = (message: string) =>
      problems.push({ document: key, field: '', ...source.locate([]), message });
    if (documentName(source.value) === undefined) problem('needs a known kind and metadata.name');
    else if (seen.has(key)) problem('stands twice in these files: keep one');
    seen.add(key);
    return [key, source] as const;
  });
  if (problems.length > 0)
    throw new CommandFailure(problems.map(describeProblem).join('\n'), { body: { problems } });
  return named;
}

/** The document with the set's label, its other labels kept. */
function labelled(value: unknown, set: string | undefined): unknown {
  if (set === undefined || !isJsonObject(value) || !isJsonObject(value.metadata)) return value;
  const labels: Json = isJsonObject(value.metadata.labels) ? value.metadata.labels : {};
  return { ...value, metadata: { ...value.metadata, labels: { ...labels, [setLabel]: set } } };
}

function setOf({ metadata }: JsonObject): Json | undefined {
  return isJsonObject(metadata) && isJsonObject(metadata.labels) ? metadata.labels[setLabel] : undefined;
}
