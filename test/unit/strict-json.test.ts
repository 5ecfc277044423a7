import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseStrictJson } from '../../src/core/strict-json.ts';

const names = (value: unknown): string[] =>
  typeof value !== 'object' || value === null
    ? []
    : Object.entries(value).flatMap(([name, member]) => [name, ...names(member)]);

describe('parseStrictJson', () => {
  it('reads whatever JSON.stringify writes, as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        fc.pre(!names(value).includes('__proto__'));
        const text = JSON.stringify(value, undefined, 1);
        expect(parseStrictJson(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('refuses every object to which one of its own names is added again', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), fc.nat(), (object, index) => {
        const own = Object.keys(object).filter((name) => name !== '__proto__');
        const name = own[index % own.length];
        fc.pre(name !== undefined);
        const text = `${JSON.stringify(object).slice(0, -1)},${JSON.stringify(name)}:null}`;
        expect(() => parseStrictJson(text)).toThrow(/twice|not allowed/);
      }),
    );
  });

  it.each([
    ['at the top', '{"sub":"a","sub":"b"}'],
    ['in an object', '{"k":{"n":1,"n":2}}'],
    ['in a list', '[{"n":1},{"n":1,"n":2}]'],
    ['after a list', '{"n":[1,{"x":1}],"n":2}'],
    ['by an escape', '{"sub":"a","su\\u0062":"b"}'],
    ['after an escaped quote', '{"a\\"":1,"b":"\\\\","a\\"":2}'],
  ])('refuses a name that stands twice %s', (_where, text) => {
    expect(() => parseStrictJson(text)).toThrow('an object names a member twice');
  });

  it.each([
    ['{"a":{"n":1},"b":{"n":1}}'],
    ['{"n":"n","m":["n","n"]}'],
    ['[{"n":1},{"n":1}]'],
    ['{"a":"\\",\\"a\\":1"}'],
  ])('accepts %s, where no object repeats a name', (text) => {
    expect(parseStrictJson(text)).toEqual(JSON.parse(text));
  });

  it.each([
    ['"__proto__" as a name', '{"__proto__":{"admin":true}}', 'a member name that is not allowed'],
    ['deep nesting', `${'['.repeat(33)}${']'.repeat(33)}`, 'nested too deep'],
    ['a comment', '{"a":1/**/}', 'not JSON'],
    ['a byte order mark', '\ufeff{}', 'not JSON'],
    ['nothing', '', 'not JSON'],
  ])('refuses %s', (_what, text, message) => {
    expect(() => parseStrictJson(text)).toThrow(message);
  });
});
