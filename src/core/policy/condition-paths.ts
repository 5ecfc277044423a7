/** How conditions read their variables: by paths that are known when the policy is loaded. */
import type { ASTNode } from '@marcbachmann/cel-js';
import {
  type Binary,
  compileBinary,
  failure,
  isFailure,
  isList,
  isMap,
  isNumber,
  isVariableName,
  type Program,
  type Scope,
  type Value,
  type VariableName,
} from './condition-value.ts';
import { quote } from './nearest-word.ts';

export function compileVariable(name: string, { locals }: Scope): Program {
  const slot = locals.get(name);
  if (slot !== undefined) return ({ locals: values }) => values[slot] ?? null;
  if (isVariableName(name)) throw new Error(`reads ${name} as a whole: name what is in it, as in claims.ref`);
  throw new Error(`names ${quote(name)}, which is no variable: there are claims, identity and request`);
}

interface StaticPath {
  readonly root: VariableName;
  readonly segments: readonly string[];
}

/** `claims.a["b.c"]`, from a variable on through names that are all known now. */
function staticPath(node: ASTNode, scope: Scope): StaticPath | undefined {
  if (node.op === 'id') {
    return isVariableName(node.args) ? { root: node.args, segments: [] } : undefined;
  }
  if (node.op !== '.' && node.op !== '[]') return undefined;
  const [receiver, key] = node.args;
  const name = typeof key === 'string' ? key : key.op === 'value' ? key.args : undefined;
  const path = typeof name === 'string' ? staticPath(receiver, scope) : undefined;
  if (path === undefined || typeof name !== 'string') return undefined;
  return { root: path.root, segments: [...path.segments, name] };
}

function notePath({ root, segments }: StaticPath, { claimPaths }: Scope): void {
  if (root === 'claims') claimPaths.add(segments.join('.'));
}

export function compileAccess(node: Extract<ASTNode, { op: '.' | '[]' }>, scope: Scope): Program {
  const path = staticPath(node, scope);
  if (path !== undefined) {
    notePath(path, scope);
    return readPath(path);
  }
  const [receiver, key] = node.args;
  const missing = failure(`${node.input.slice(node.start, node.end)} is missing`);
  const read: Binary = (from, at) => {
    if (isMap(from))
      return typeof at === 'string' && Object.hasOwn(from, at) ? (from[at] ?? missing) : missing;
    return isList(from) && isNumber(at) ? (from[Number(at)] ?? missing) : missing;
  };
  if (typeof key !== 'string') return compileBinary([receiver, key], scope, read);
  const from = scope.compile(receiver, scope);
  return (frame) => {
    const outcome = from(frame);
    return isFailure(outcome) ? outcome : read(outcome, key, frame.meter);
  };
}

function readPath({ root, segments }: StaticPath): Program {
  const steps = segments.map((name, index) => ({
    name,
    missing: failure(`${[root, ...segments.slice(0, index + 1)].join('.')} is missing`),
  }));
  return ({ variables, meter }) => {
    meter.left -= steps.length;
    let value: Value = variables[root];
    for (const { name, missing } of steps) {
      const next: Value | undefined = isMap(value) && Object.hasOwn(value, name) ? value[name] : undefined;
      if (next === undefined) return missing;
      value = next;
    }
    return value;
  };
}

/** `has(a.b)`: fails where `a` itself is missing, as CEL does. */
export function compileHas(node: ASTNode, scope: Scope): Program {
  if (node.op !== '.') throw new Error('has() takes one field, as in has(claims.ref)');
  const [receiver, name] = node.args;
  const path = staticPath(node, scope);
  if (path !== undefined) notePath(path, scope);
  const parent = staticPath(receiver, scope);
  const from = parent === undefined ? scope.compile(receiver, scope) : readPath(parent);
  const notMap = failure('has() needs a map');
  return (frame) => {
    const outcome = from(frame);
    if (isFailure(outcome)) return outcome;
    return isMap(outcome) ? Object.hasOwn(outcome, name) : notMap;
  };
}

/** `"ref" in claims`. */
export function compileHasClaim(key: ASTNode, scope: Scope): Program {
  const name = key.op === 'value' ? key.args : undefined;
  if (typeof name !== 'string') throw new Error('looks for a claim whose name is not written out');
  notePath({ root: 'claims', segments: [name] }, scope);
  return ({ variables }) => Object.hasOwn(variables.claims, name);
}
