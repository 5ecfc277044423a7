/** What the parts of a condition share: values, failures, which are never thrown, and the frame that a program runs in. */
import type { ASTNode } from '@marcbachmann/cel-js';
import type { JsonObject } from '../json.ts';
import type { ConditionVariables, Meter } from './condition.ts';

export type Value = string | number | bigint | boolean | null | readonly Value[] | JsonObject;

declare const failureBrand: unique symbol;

/** Why an expression has no value. Made when the policy is loaded, so that it can hold no claim. */
export interface Failure {
  readonly [failureBrand]: true;
  readonly why: string;
}

const failures = new WeakSet<object>();

export function failure(why: string): Failure {
  const made = Object.freeze({ why }) as Failure;
  failures.add(made);
  return made;
}

export function isFailure(outcome: Value | Failure): outcome is Failure {
  return typeof outcome === 'object' && outcome !== null && failures.has(outcome);
}

const maxEqualityDepth = 64;

/** Equality of the CEL specification: numbers by their value, other values of different types never. */
export function isEqual(a: Value, b: Value, meter: Meter, depth = 0): boolean {
  meter.left -= depth > maxEqualityDepth ? Infinity : 1;
  if (meter.left < 0) return false;
  if (isNumber(a) && isNumber(b)) return typeof a === typeof b ? a === b : a <= b && a >= b;
  if (typeof a === 'string' && typeof b === 'string') {
    meter.left -= Math.min(a.length, b.length) / 64;
    return a === b;
  }
  if (isList(a) && isList(b)) {
    return (
      a.length === b.length && a.every((member, index) => isEqual(member, b[index] ?? null, meter, depth + 1))
    );
  }
  if (isMap(a) && isMap(b)) {
    const keys = Object.keys(a);
    meter.left -= keys.length;
    return (
      keys.length === Object.keys(b).length &&
      keys.every((key) => Object.hasOwn(b, key) && isEqual(a[key] ?? null, b[key] ?? null, meter, depth + 1))
    );
  }
  return a === b;
}

/** Negative, zero or positive; undefined where the two have no order. */
export function compare(a: Value, b: Value, meter: Meter): number | undefined {
  if (typeof a === 'string' && typeof b === 'string') {
    meter.left -= Math.min(a.length, b.length) / 64;
    return a < b ? -1 : a > b ? 1 : 0;
  }
  const isOrdered = (isNumber(a) && isNumber(b)) || (typeof a === 'boolean' && typeof b === 'boolean');
  if (!isOrdered) return undefined;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Text and lists are joined, numbers of one type added; undefined where the two have no sum. */
export function sum(a: Value, b: Value, meter: Meter): Value | undefined {
  if (typeof a === 'string' && typeof b === 'string') {
    meter.left -= (a.length + b.length) / 8;
    return a + b;
  }
  if (isList(a) && isList(b)) {
    meter.left -= a.length + b.length;
    return meter.left < 0 ? undefined : [...a, ...b];
  }
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  return typeof a === 'bigint' && typeof b === 'bigint' ? a + b : undefined;
}

export function isNumber(value: Value): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isMap(value: Value): value is JsonObject {
  return typeof value === 'object' && value !== null && !isList(value);
}

const variableNames: readonly VariableName[] = ['claims', 'identity', 'request'];
export type VariableName = keyof ConditionVariables;

export function isVariableName(name: string): name is VariableName {
  return variableNames.some((known) => known === name);
}

export interface Frame {
  readonly variables: Required<ConditionVariables>;
  /** The values of the macros' own variables, by slot. */
  readonly locals: Value[];
  readonly meter: Meter;
}

export type Program = (frame: Frame) => Value | Failure;

export interface Scope {
  readonly compile: (node: ASTNode, scope: Scope) => Program;
  /** The slots of the macros' own variables, by name. */
  readonly locals: ReadonlyMap<string, number>;
  /** Collects the paths of the claims that the expression reads. */
  readonly claimPaths: Set<string>;
}

export type Unary = (value: Value, meter: Meter) => Value | Failure;
export type Binary = (a: Value, b: Value, meter: Meter) => Value | Failure;

export function compileUnary(node: ASTNode, scope: Scope, apply: Unary): Program {
  const operand = scope.compile(node, scope);
  return (frame) => {
    const outcome = operand(frame);
    return isFailure(outcome) ? outcome : apply(outcome, frame.meter);
  };
}

export function compileBinary([a, b]: readonly [ASTNode, ASTNode], scope: Scope, apply: Binary): Program {
  const [left, right] = [scope.compile(a, scope), scope.compile(b, scope)];
  return (frame) => {
    const first = left(frame);
    if (isFailure(first)) return first;
    const second = right(frame);
    return isFailure(second) ? second : apply(first, second, frame.meter);
  };
}
