/** The shapes that JSON can take, for values that come from outside. */

export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

type JsonPath = readonly (string | number)[];

const maxDepth = 16;

/** Where a schema would pass over a field in silence, or recursion over the value could be driven too deep; at most 16 levels are safe. */
export function findUnsafe(value: unknown, path: JsonPath = []): JsonPath | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (path.length > maxDepth) return path;
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      if (typeof item !== 'object') continue;
      const found = findUnsafe(item, [...path, index]);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  for (const [key, item] of Object.entries(value)) {
    if (key === '__proto__') return [...path, key];
    if (typeof item !== 'object') continue;
    const found = findUnsafe(item, [...path, key]);
    if (found !== undefined) return found;
  }
  return undefined;
}
