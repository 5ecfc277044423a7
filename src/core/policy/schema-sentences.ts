/** Turns what zod says about a document into sentences that tell its author what to write instead. */
import { z } from 'zod';
import { isJsonObject } from '../json.ts';
import { quote, suggest } from './nearest-word.ts';
import type { FieldPath } from './source.ts';

export interface FieldProblem {
  readonly path: FieldPath;
  readonly message: string;
}

type Issue = z.core.$ZodIssue;

/** One sentence for each thing that is wrong; `value` is what was parsed with `schema`. */
export function describeIssues(
  issues: readonly Issue[],
  schema: z.ZodType,
  value: unknown,
): readonly FieldProblem[] {
  return issues.flatMap((issue) => {
    const path = issue.path.filter((part) => typeof part !== 'symbol');
    if (issue.code === 'unrecognized_keys') {
      const known = fieldsAt(schema, path);
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: `unknown field ${quote(key)}: ${suggest(key, known)}`,
      }));
    }
    return [{ path, message: sentence(issue, valueAt(value, path)) }];
  });
}

function sentence(issue: Issue, actual: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      if (actual === undefined) return `is missing: write ${nouns[issue.expected] ?? issue.expected} here`;
      return `must be ${nouns[issue.expected] ?? issue.expected}, not ${nameType(actual)}`;
    case 'invalid_value': {
      const allowed = issue.values.map((value) => String(value)).join(' or ');
      if (actual === undefined) return `is missing: write ${allowed}`;
      return `must be ${allowed}${typeof actual === 'string' ? `, not ${quote(actual)}` : ''}`;
    }
    case 'invalid_union':
      return 'must be a string, a number, true or false, or a list of them that is not empty';
    case 'too_small':
      if (!issue.message.startsWith('Too small')) return issue.message;
      return issue.origin === 'array' ? 'must hold at least one entry, or be left out' : 'must not be empty';
    case 'too_big':
      return issue.origin === 'array'
        ? `must hold at most ${issue.maximum} entries`
        : `must be at most ${issue.maximum} characters long`;
    case 'invalid_format':
      if (issue.format === 'datetime')
        return 'must be a date and time with its zone, as in 2027-01-01T00:00:00Z';
      return issue.message;
    case 'custom':
      return issue.message;
    default:
      return 'is not accepted here';
  }
}

const nouns: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping of fields',
  record: 'a mapping of names to values',
};

function nameType(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return nouns[typeof value] ?? `a ${typeof value}`;
}

function valueAt(value: unknown, path: FieldPath): unknown {
  return path.reduce<unknown>((at, part) => {
    if (Array.isArray(at) && typeof part === 'number') return at[part];
    return isJsonObject(at) && Object.hasOwn(at, part) ? at[part] : undefined;
  }, value);
}

/** The fields that the schema knows at a path. */
function fieldsAt(schema: z.ZodType, path: FieldPath): readonly string[] {
  let at: unknown = unwrap(schema);
  for (const part of path) {
    if (at instanceof z.ZodObject) at = unwrap(at.shape[part]);
    else if (at instanceof z.ZodArray) at = unwrap(at.element);
    else return [];
  }
  return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

function unwrap(schema: unknown): unknown {
  let at = schema;
  while (at instanceof z.ZodOptional || at instanceof z.ZodDefault) at = at.unwrap();
  return at;
}
