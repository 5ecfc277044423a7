/** Which JSON Schemas a Grant may give for a claim that callers ask for: a subset that bounds each value and means the same in every draft. */
import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import { quote, suggest } from './nearest-word.ts';
import { compileWholeMatch } from './re2.ts';
import type { FieldPath } from './source.ts';

export interface SchemaProblem {
  readonly path: FieldPath;
  readonly message: string;
}

/** What is wrong with a keyword's value, undefined where nothing is. */
type Rule = (value: unknown) => string | undefined;

const maxSchemaLength = 4096;
const maxTextLength = 1024;
const maxEntries = 64;
const maxDepth = 4;

const countUpTo =
  (limit: number): Rule =>
  (value) =>
    Number.isInteger(value) && Number(value) >= 0 && Number(value) <= limit
      ? undefined
      : `must be a whole number from 0 to ${limit}`;
const number: Rule = (value) => (Number.isFinite(value) ? undefined : 'must be a number');
const isScalar = (value: unknown) => ['string', 'number', 'boolean'].includes(typeof value);

const forAnyType: Readonly<Record<string, Rule>> = {
  title: (value) => (typeof value === 'string' ? undefined : 'must be a string'),
  description: (value) => (typeof value === 'string' ? undefined : 'must be a string'),
  const: (value) => (isScalar(value) ? undefined : 'must be a string, a number, true or false'),
  enum: (value) =>
    Array.isArray(value) && value.length > 0 && value.length <= maxEntries && value.every(isScalar)
      ? undefined
      : `must be a list of 1 to ${maxEntries} strings, numbers, true or false`,
};

const bounds: Readonly<Record<string, Rule>> = {
  minimum: number,
  maximum: number,
  exclusiveMinimum: number,
  exclusiveMaximum: number,
  multipleOf: (value) => (Number.isFinite(value) && Number(value) > 0 ? undefined : 'must be above 0'),
};

/** Schemas within schemas (`items`, `properties`) and `required`, which looks at them, are read by the functions at the end. */
const nested: Rule = () => undefined;

const byType: Readonly<Record<string, Readonly<Record<string, Rule>>>> = {
  string: {
    minLength: countUpTo(maxTextLength),
    maxLength: countUpTo(maxTextLength),
    pattern: (value) => (typeof value === 'string' ? describePattern(value) : 'must be a string'),
  },
  number: bounds,
  integer: bounds,
  boolean: {},
  array: {
    items: nested,
    minItems: countUpTo(maxEntries),
    maxItems: countUpTo(maxEntries),
    uniqueItems: (value) => (typeof value === 'boolean' ? undefined : 'must be true or false'),
  },
  object: {
    properties: nested,
    required: nested,
    additionalProperties: (value) => (value === false ? undefined : 'must be false'),
  },
};

/** Everything that is wrong with the schema, whose JSON has this length; it may be compiled where nothing is. */
export function problemsOfClaimSchema(schema: unknown, length: number): readonly SchemaProblem[] {
  return length > maxSchemaLength
    ? [{ path: [], message: `is longer than ${maxSchemaLength} characters of JSON` }]
    : problemsOf(schema, 1);
}

function problemsOf(schema: unknown, depth: number): readonly SchemaProblem[] {
  const only = (path: FieldPath, message: string) => [{ path, message }];
  if (!isJsonObject(schema)) return only([], 'must be a JSON Schema, as in { type: string, maxLength: 64 }');
  if (depth > maxDepth) return only([], `lies deeper than ${maxDepth} schemas within one another`);
  const isListed = 'enum' in schema || 'const' in schema;
  const { type } = schema;
  const rules = typeof type === 'string' && Object.hasOwn(byType, type) ? byType[type] : undefined;
  if (rules === undefined && (type !== undefined || !isListed)) {
    return only(['type'], `must be one of ${Object.keys(byType).join(', ')}`);
  }
  const known = { ...forAnyType, ...rules };
  const wrong = Object.entries(schema).flatMap(([keyword, value]) => {
    if (keyword === 'type') return [];
    const rule = Object.hasOwn(known, keyword) ? known[keyword] : undefined;
    const message = rule === undefined ? describeUnknown(keyword, type, Object.keys(known)) : rule(value);
    return message === undefined ? [] : only([keyword], message);
  });
  const lacking = isListed ? undefined : describeLack(schema);
  return [
    ...wrong,
    ...(lacking === undefined ? [] : only([], lacking)),
    ...problemsWithin('items', schema.items, depth),
    ...problemsOfProperties(schema, depth),
  ];
}

function describeUnknown(keyword: string, type: unknown, known: readonly string[]): string {
  if (/^\$(ref|dynamicRef|recursiveRef)$/.test(keyword)) return 'a schema refers to no other: write it out';
  if (keyword === 'format') return 'formats are not checked: write pattern instead';
  const what = typeof type === 'string' ? ` of a schema of type ${type}` : '';
  return `${quote(keyword)} is no keyword${what} here: ${suggest(keyword, known)}`;
}

/** Anchored, so that it reads as every other reader of JSON Schema reads it, and never matches a part of a value. */
function describePattern(pattern: string): string | undefined {
  if (!/^\^.*\$$/s.test(pattern)) return 'must begin with ^ and end with $: it would match a part of a value';
  const compiled = compileWholeMatch(pattern.slice(1, -1));
  return typeof compiled === 'string' ? compiled : undefined;
}

/** What the schema lacks that would bound its values. */
function describeLack({
  type,
  maxLength,
  maxItems,
  items,
  additionalProperties,
}: JsonObject): string | undefined {
  if (type === 'string' && maxLength === undefined) {
    return `bounds no text: write maxLength, at most ${maxTextLength}`;
  }
  if (type === 'array' && (maxItems === undefined || items === undefined)) {
    return `bounds no list: write items, and maxItems, at most ${maxEntries}`;
  }
  if (type === 'object' && additionalProperties === undefined) {
    return 'bounds no object: write additionalProperties: false';
  }
  return undefined;
}

function problemsOfProperties({ properties, required }: JsonObject, depth: number): readonly SchemaProblem[] {
  if (properties !== undefined && !isJsonObject(properties)) {
    return [{ path: ['properties'], message: 'must be a mapping of names to schemas' }];
  }
  const schemas = properties ?? {};
  const within = Object.entries(schemas).flatMap(([name, schema]) =>
    problemsWithin(name, schema, depth).map(({ path, message }) => ({
      path: ['properties', ...path],
      message,
    })),
  );
  const isKnown = (name: unknown) => typeof name === 'string' && Object.hasOwn(schemas, name);
  const isSound =
    required === undefined ||
    (Array.isArray(required) && required.every(isKnown) && new Set(required).size === required.length);
  if (isSound) return within;
  const message = 'must be a list of names that stand in properties, each once';
  return [...within, { path: ['required'], message }];
}

function problemsWithin(name: string, schema: Json | undefined, depth: number): readonly SchemaProblem[] {
  if (schema === undefined) return [];
  return problemsOf(schema, depth + 1).map(({ path, message }) => ({ path: [name, ...path], message }));
}
