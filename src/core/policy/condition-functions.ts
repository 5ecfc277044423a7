/** The functions, methods and macros that conditions know, each of which counts what it costs. */
import type { ASTNode } from '@marcbachmann/cel-js';
import { RE2JS, RE2JSException } from 're2js';
import {
  compileBinary,
  compileUnary,
  type Failure,
  failure,
  isFailure,
  isList,
  isMap,
  isVariableName,
  type Program,
  type Scope,
  type Value,
} from './condition-value.ts';
import { quote } from './nearest-word.ts';

const maxRegexSize = 250; // RE2 instructions

/** `size(…)`; `has(…)` is no function but reads a path. */
export function compileCall([name, nodes]: readonly [string, readonly ASTNode[]], scope: Scope): Program {
  const [argument, ...others] = nodes;
  if (argument === undefined || others.length > 0) return refuseFunction(name);
  return name === 'size' ? compileSize(argument, scope) : refuseFunction(name);
}

export function compileMethod(
  [name, receiver, nodes]: readonly [string, ASTNode, readonly ASTNode[]],
  scope: Scope,
): Program {
  const [first, second, ...others] = nodes;
  if (others.length > 0) return refuseFunction(name);
  if (first === undefined) return name === 'size' ? compileSize(receiver, scope) : refuseFunction(name);
  if (second !== undefined) return compileMacro(name, receiver, first, second, scope);
  if (name === 'matches') return compileMatches(receiver, first, scope);
  const test = textTests.get(name);
  if (test === undefined) return refuseFunction(name);
  const notText = failure(`${name} needs text on both sides`);
  return compileBinary([receiver, first], scope, (text, part, meter) => {
    if (typeof text !== 'string' || typeof part !== 'string') return notText;
    // Finding one text in another may compare each of its characters with each of the other's.
    meter.left -= (part.length * (name === 'contains' ? text.length : 1)) / 64;
    return meter.left < 0 ? false : test(text, part);
  });
}

function refuseFunction(name: string): never {
  throw new Error(
    `calls ${quote(name)}: conditions know has, size, startsWith, endsWith, contains, matches, all, exists, exists_one, filter and map(item, value)`,
  );
}

const textTests: ReadonlyMap<string, (text: string, part: string) => boolean> = new Map([
  ['startsWith', (text, part) => text.startsWith(part)],
  ['endsWith', (text, part) => text.endsWith(part)],
  ['contains', (text, part) => text.includes(part)],
]);

function compileSize(node: ASTNode, scope: Scope): Program {
  const noSize = failure('size needs text, a list or a map');
  return compileUnary(node, scope, (value, meter) => {
    if (isList(value)) return BigInt(value.length);
    if (isMap(value)) return BigInt(Object.keys(value).length);
    if (typeof value !== 'string') return noSize;
    meter.left -= value.length / 4;
    return meter.left < 0 ? noSize : BigInt([...value].length);
  });
}

/** RE2 anywhere in the text, in time that is linear in its length, whatever the expression is. */
function compileMatches(receiver: ASTNode, pattern: ASTNode, scope: Scope): Program {
  const source = pattern.op === 'value' ? pattern.args : undefined;
  if (typeof source !== 'string') throw new Error('calls matches with an expression that is not written out');
  const regex = compileRe2(source);
  if (regex === undefined) {
    throw new Error(
      `holds ${quote(source)}, which is not an RE2 expression (without lookaround or backreferences)`,
    );
  }
  const size = regex.programSize();
  if (size > maxRegexSize)
    throw new Error(`holds ${quote(source)}, which is too large: write smaller repeat counts`);
  const notText = failure('matches needs text before it');
  return compileUnary(receiver, scope, (text, meter) => {
    if (typeof text !== 'string') return notText;
    meter.left -= (size * text.length) / 8;
    return meter.left < 0 ? false : regex.test(text);
  });
}

function compileRe2(source: string): RE2JS | undefined {
  try {
    return RE2JS.compile(source);
  } catch (error) {
    if (error instanceof RE2JSException) return undefined;
    throw error;
  }
}

type Apply = (item: Value) => Value | Failure;
type Fold = (items: readonly Value[], apply: Apply) => Value | Failure;

const notBool = failure('a macro needs true or false for each item');

function asBool(outcome: Value | Failure): boolean | Failure {
  return typeof outcome === 'boolean' || isFailure(outcome) ? outcome : notBool;
}

/** One item that decides is enough, even where another one fails. */
function untilDecided(decides: boolean): Fold {
  return (items, apply) => {
    let failed: Failure | undefined;
    for (const item of items) {
      const outcome = asBool(apply(item));
      if (outcome === decides) return decides;
      if (isFailure(outcome)) failed ??= outcome;
    }
    return failed ?? !decides;
  };
}

function keepItems(items: readonly Value[], apply: Apply): readonly Value[] | Failure {
  const kept: Value[] = [];
  for (const item of items) {
    const outcome = asBool(apply(item));
    if (isFailure(outcome)) return outcome;
    if (outcome) kept.push(item);
  }
  return kept;
}

function countOne(items: readonly Value[], apply: Apply): boolean | Failure {
  const kept = keepItems(items, apply);
  return isFailure(kept) ? kept : kept.length === 1;
}

function transformItems(items: readonly Value[], apply: Apply): readonly Value[] | Failure {
  const values: Value[] = [];
  for (const item of items) {
    const outcome = apply(item);
    if (isFailure(outcome)) return outcome;
    values.push(outcome);
  }
  return values;
}

const folds: ReadonlyMap<string, Fold> = new Map<string, Fold>([
  ['all', untilDecided(false)],
  ['exists', untilDecided(true)],
  ['exists_one', countOne],
  ['filter', keepItems],
  ['map', transformItems],
]);

/** Each item costs what its body costs, so nested macros end with the budget. A map's items are its keys. */
function compileMacro(name: string, receiver: ASTNode, item: ASTNode, body: ASTNode, scope: Scope): Program {
  const fold = folds.get(name);
  if (fold === undefined) return refuseFunction(name);
  if (item.op !== 'id') throw new Error(`needs a name for the items of ${name}`);
  if (isVariableName(item.args) || scope.locals.has(item.args)) {
    throw new Error(`names the items of ${name} ${quote(item.args)}, which is taken`);
  }
  const slot = scope.locals.size;
  const collection = scope.compile(receiver, scope);
  const run = scope.compile(body, { ...scope, locals: new Map([...scope.locals, [item.args, slot]]) });
  const noItems = failure(`${name} needs a list or a map before it`);
  return (frame) => {
    const outcome = collection(frame);
    if (isFailure(outcome)) return outcome;
    const items = isList(outcome) ? outcome : isMap(outcome) ? Object.keys(outcome) : undefined;
    if (items === undefined) return noItems;
    return fold(items, (value) => {
      frame.locals[slot] = value;
      return run(frame);
    });
  };
}
