/** Finds the line on which a field of a YAML document stands. */
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, type LineCounter } from 'yaml';
import type { FieldPath } from '../../core/policy/source.ts';

/** The 1-based line of the field at `path`, or of the nearest thing around it that is there. */
export function lineOf(document: Document.Parsed, path: FieldPath, lines: LineCounter): number | undefined {
  let at: unknown = document.contents;
  let offset = isNode(at) ? at.range?.[0] : undefined;
  for (const part of path) {
    const step = stepInto(isAlias(at) ? at.resolve(document) : at, part);
    if (step === undefined) break;
    at = step.value;
    offset = step.offset ?? offset;
  }
  return offset === undefined ? undefined : lines.linePos(offset).line;
}

/** A field stands where its name does, an item of a list where its value begins. */
function stepInto(
  node: unknown,
  part: string | number,
): { readonly value: unknown; readonly offset: number | undefined } | undefined {
  if (isMap(node)) {
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
    if (pair === undefined) return undefined;
    return { value: pair.value, offset: isNode(pair.key) ? pair.key.range?.[0] : undefined };
  }
  if (!isSeq(node) || typeof part !== 'number' || part >= node.items.length) return undefined;
  const item = node.items[part];
  return { value: item, offset: isNode(item) ? item.range?.[0] : undefined };
}
