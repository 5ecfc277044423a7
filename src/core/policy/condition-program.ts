/** Turns the tree of a checked CEL expression into a program that counts what it costs; what it does not know, it refuses. */
import type { ASTNode } from '@marcbachmann/cel-js';
import { compileCall, compileMethod } from './condition-functions.ts';
import { compileAccess, compileHas, compileHasClaim, compileVariable } from './condition-paths.ts';
import {
  compare,
  compileBinary,
  compileUnary,
  type Failure,
  failure,
  isEqual,
  isFailure,
  isList,
  isMap,
  isNumber,
  type Program,
  type Scope,
  sum,
  type Value,
} from './condition-value.ts';
import { quote } from './nearest-word.ts';

const tooCostly = failure('costs too much to evaluate');

/** Throws an `Error` whose message tells the author what to write instead. */
export function compileProgram(node: ASTNode, scope: Scope): Program {
  const run = compileNode(node, scope);
  return (frame) => {
    frame.meter.left -= 1;
    if (frame.meter.left < 0) return tooCostly;
    const outcome = run(frame);
    return frame.meter.left < 0 ? tooCostly : outcome;
  };
}

function compileNode(node: ASTNode, scope: Scope): Program {
  switch (node.op) {
    case 'value':
      return compileLiteral(node.args);
    case 'id':
      return compileVariable(node.args, scope);
    case '.':
    case '[]':
      return compileAccess(node, scope);
    case 'list':
      return compileList(node.args, scope);
    case '&&':
      return compileLogic(node.args, false, scope);
    case '||':
      return compileLogic(node.args, true, scope);
    case '?:': {
      const [condition, yes, no] = node.args.map((argument) => scope.compile(argument, scope));
      if (condition === undefined || yes === undefined || no === undefined) throw new Error('is incomplete');
      const notBool = failure('? needs true or false before it');
      return (frame) => {
        const outcome = condition(frame);
        if (isFailure(outcome)) return outcome;
        return outcome === true ? yes(frame) : outcome === false ? no(frame) : notBool;
      };
    }
    case '!_': {
      const wrongType = failure('! needs true or false after it');
      return compileUnary(node.args, scope, (value) => (typeof value === 'boolean' ? !value : wrongType));
    }
    case '-_': {
      const wrongType = failure('- needs a number after it');
      return compileUnary(node.args, scope, (value) => (isNumber(value) ? -value : wrongType));
    }
    case 'in': {
      const [key, collection] = node.args;
      if (collection.op === 'id' && collection.args === 'claims') return compileHasClaim(key, scope);
      const notIn = failure('in needs a list or a map after it');
      return compileBinary(node.args, scope, (a, b, meter) => {
        if (isList(b)) return b.some((member) => isEqual(a, member, meter));
        if (!isMap(b)) return notIn;
        return typeof a === 'string' && Object.hasOwn(b, a);
      });
    }
    case '==':
      return compileBinary(node.args, scope, isEqual);
    case '!=':
      return compileBinary(node.args, scope, (a, b, meter) => !isEqual(a, b, meter));
    case '<':
      return compileOrder(node.op, node.args, scope, (order) => order < 0);
    case '<=':
      return compileOrder(node.op, node.args, scope, (order) => order <= 0);
    case '>':
      return compileOrder(node.op, node.args, scope, (order) => order > 0);
    case '>=':
      return compileOrder(node.op, node.args, scope, (order) => order >= 0);
    case '+': {
      const noSum = failure('+ needs two texts, two lists, or two numbers of one type');
      return compileBinary(node.args, scope, (a, b, meter) => sum(a, b, meter) ?? noSum);
    }
    case 'call': {
      const [name, [argument]] = node.args;
      return name === 'has' && argument !== undefined
        ? compileHas(argument, scope)
        : compileCall(node.args, scope);
    }
    case 'rcall':
      return compileMethod(node.args, scope);
    default:
      throw new Error(`holds ${quote(node.op)}, which conditions do not know`);
  }
}

function compileLiteral(value: unknown): Program {
  // Claims are JSON, whose numbers are doubles: beyond 2^53 two of them could be one.
  const isInteger = typeof value === 'bigint' || Number.isInteger(value);
  if (isInteger && !Number.isSafeInteger(Number(value))) {
    throw new Error('holds a number too large to be exact: if the claim is a string, quote it');
  }
  if (
    typeof value === 'string' ||
    typeof value === 'number' ||
    typeof value === 'bigint' ||
    typeof value === 'boolean' ||
    value === null
  ) {
    return () => value;
  }
  throw new Error('holds a literal that is neither text, number, true, false nor null');
}

function compileList(nodes: readonly ASTNode[], scope: Scope): Program {
  const members = nodes.map((node) => scope.compile(node, scope));
  return (frame) => {
    const values: Value[] = [];
    for (const member of members) {
      const outcome = member(frame);
      if (isFailure(outcome)) return outcome;
      values.push(outcome);
    }
    return values;
  };
}

/** `&&` and `||` in either order: a side that decides alone decides even where the other one fails. */
function compileLogic([a, b]: readonly [ASTNode, ASTNode], decides: boolean, scope: Scope): Program {
  const [left, right] = [scope.compile(a, scope), scope.compile(b, scope)];
  const notBool = failure('&& and || need true or false on both sides');
  const asBool = (outcome: Value | Failure) =>
    typeof outcome === 'boolean' || isFailure(outcome) ? outcome : notBool;
  return (frame) => {
    const first = asBool(left(frame));
    if (first === decides) return decides;
    const second = asBool(right(frame));
    return second === decides || first === !decides ? second : first;
  };
}

function compileOrder(
  name: string,
  nodes: readonly [ASTNode, ASTNode],
  scope: Scope,
  holds: (order: number) => boolean,
): Program {
  const noOrder = failure(`${name} needs two numbers or two texts`);
  return compileBinary(nodes, scope, (a, b, meter) => {
    const order = compare(a, b, meter);
    return order === undefined ? noOrder : holds(order);
  });
}
