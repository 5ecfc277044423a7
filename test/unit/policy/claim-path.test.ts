import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { isClaimPath, readClaim } from '../../../src/core/policy/claim-path.ts';

const parsed = (text: string) => JSON.parse(text) as JsonObject;
const missing = { found: false, ambiguous: false };

describe('readClaim', () => {
  const claims = {
    sub: 'a',
    nothing: null,
    'kubernetes.io': { namespace: 'orders', serviceaccount: { name: 'api' } },
    'https://sts.amazonaws.com/': { aws_account: '1' },
    groups: ['a'],
  };

  it.each([
    ['sub', 'a'],
    ['nothing', null],
    ['kubernetes.io.namespace', 'orders'],
    ['kubernetes.io.serviceaccount.name', 'api'],
    ['kubernetes.io', claims['kubernetes.io']],
    ['https://sts.amazonaws.com/.aws_account', '1'],
  ])('finds %s', (path, value) => expect(readClaim(claims, path)).toEqual({ found: true, value }));

  it.each([
    'other',
    'kubernetes',
    'kubernetes.io.other',
    'sub.length',
    'groups.0',
    'groups.length',
    'nothing.x',
    '',
  ])('does not find %j', (path) => expect(readClaim(claims, path)).toEqual(missing));

  it.each([
    '__proto__',
    'constructor',
    'constructor.name',
    'toString',
    '__proto__.constructor',
    'sub.constructor',
  ])('finds nothing that an object inherits: %s', (path) => expect(readClaim(claims, path)).toEqual(missing));

  it('reads a claim that is named like what an object inherits', () => {
    expect(readClaim(parsed('{"__proto__": {"a": "b"}}'), '__proto__.a')).toEqual({
      found: true,
      value: 'b',
    });
  });

  it.each([
    '{"a.b": 1, "a": {"b": 1}}',
    '{"a": {"b.c": 1}, "a.b": {"c": 2}}',
    '{"a.b.c": 1, "a": {"b": {"c": 1}}}',
  ])('calls a path with two readings ambiguous in %s', (text) => {
    const path = text.includes('c') ? 'a.b.c' : 'a.b';
    expect(readClaim(parsed(text), path)).toEqual({ found: false, ambiguous: true });
  });

  it('is not confused by a reading that leads nowhere', () => {
    expect(readClaim(parsed('{"a": {"x": 1}, "a.b": 2}'), 'a.b')).toEqual({ found: true, value: 2 });
  });

  it('finds every claim under its own path, unless another has the same one', () => {
    const key = fc.stringMatching(/^[a-c.]{1,3}$/);
    const claim = fc.tuple(fc.array(key, { minLength: 1, maxLength: 3 }), fc.integer());
    fc.assert(
      fc.property(claim, ([keys, value]) => {
        const nested = keys.reduceRight<JsonObject | number>((inner, name) => ({ [name]: inner }), value);
        expect(readClaim(nested as JsonObject, keys.join('.'))).toEqual({ found: true, value });
      }),
    );
  });
});

describe('isClaimPath', () => {
  it.each(['sub', 'kubernetes.io.namespace', 'https://sts.amazonaws.com/.aws_account', 'größe'])(
    'accepts %s',
    (path) => expect(isClaimPath(path)).toBe(true),
  );
  it.each(['', '.', 'a.', '.a', 'a..b', 'a b', 'a\n', '{a}', 'a|path', 'a'.repeat(513)])(
    'refuses %j',
    (path) => expect(isClaimPath(path)).toBe(false),
  );
});
