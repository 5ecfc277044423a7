/** JSON in which every object names each member once (RFC 7519 §4, RFC 8259 §4): two readers must not see two documents. */
import type { Json } from './json.ts';

const maxDepth = 32;

/** Thrown for text that is not JSON, nests too deep, or repeats a member name. The message holds none of the text. */
export class JsonRefused extends Error {
  override readonly name = 'JsonRefused';
}

/** Parses strictly. `__proto__` as a member name is refused too: no genuine token has it, and careless code would obey it. */
export function parseStrictJson(text: string): Json {
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch {
    // The engine's message quotes the text, so it is not kept.
    throw new JsonRefused('not JSON');
  }
  refuseRepeatedNames(text);
  return value;
}

/** Walks text that is known to be JSON. Only strings need care; all else is told apart by one character. */
function refuseRepeatedNames(text: string): void {
  /** One entry for each open bracket: the names seen so far, or undefined within an array. */
  const open: (Set<string> | undefined)[] = [];
  let names: Set<string> | undefined;
  let expectsName = false;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x7b: // {
      case 0x5b: // [
        expectsName = text.charCodeAt(at) === 0x7b;
        names = expectsName ? new Set() : undefined;
        open.push(names);
        if (open.length > maxDepth) throw new JsonRefused('nested too deep');
        break;
      case 0x7d: // }
      case 0x5d: // ]
        open.pop();
        names = open.at(-1);
        expectsName = false;
        break;
      case 0x2c: // ,
        expectsName = names !== undefined;
        break;
      case 0x22: {
        const end = endOfString(text, at);
        if (expectsName && names !== undefined) addName(names, text.slice(at, end + 1));
        expectsName = false;
        at = end;
        break;
      }
    }
  }
}

function addName(names: Set<string>, quoted: string): void {
  // Escapes are resolved first: "sub" and "su\u0062" are one name.
  const name = quoted.includes('\\') ? String(JSON.parse(quoted)) : quoted.slice(1, -1);
  if (name === '__proto__') throw new JsonRefused('a member name that is not allowed');
  if (names.has(name)) throw new JsonRefused('an object names a member twice');
  names.add(name);
}

/** The index of the closing quote. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text.charCodeAt(at) !== 0x22) at += text.charCodeAt(at) === 0x5c ? 2 : 1;
  return at;
}
