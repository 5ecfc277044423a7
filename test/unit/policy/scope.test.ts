import { describe, expect, it } from 'vitest';
import { OAuthError } from '../../../src/core/error.ts';
import { parseScope } from '../../../src/core/scope.ts';

describe('parseScope', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['a', ['a']],
    ['b a:read !', ['b', 'a:read', '!']],
    ['b a b', ['b', 'a']],
    [Array.from({ length: 100 }, (_, index) => `s${index}`).join(' '), expect.any(Array)],
    ['s'.repeat(256), ['s'.repeat(256)]],
  ])('reads %j', (text, scopes) => expect(parseScope(text)).toEqual(scopes));

  it.each([
    ' ',
    ' a',
    'a ',
    'a  b',
    'a\tb',
    'a\nb',
    'a"b',
    'a\\b',
    'ä',
    'a\u0000',
    's'.repeat(257),
    Array.from({ length: 101 }, (_, index) => `s${index}`).join(' '),
    'a '.repeat(20_000),
  ])('refuses %j', (text) => {
    expect(() => parseScope(text)).toThrow(OAuthError);
    expect(() => parseScope(text)).toThrow(expect.objectContaining({ reason: 'request.scope_malformed' }));
  });
});
