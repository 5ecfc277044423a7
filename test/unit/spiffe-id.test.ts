import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSpiffeId, trustDomainOf } from '../../src/core/spiffe-id.ts';

const longest = `spiffe://a.example/${'x'.repeat(2048 - 'spiffe://a.example/'.length)}`;

describe('parseSpiffeId', () => {
  it.each([
    'spiffe://prod.example/orders',
    'spiffe://prod.example/ns/a/sa/b',
    'spiffe://a/b',
    'spiffe://10.0.0.1/workload',
    'spiffe://prod_1.example-2/A.b_C-9',
    'spiffe://prod.example/...',
    longest,
  ])('accepts %s as it is spelled', (text) => {
    expect(parseSpiffeId(text)).toBe(text);
  });

  it.each([
    ['no path', 'spiffe://prod.example'],
    ['a trailing slash', 'spiffe://prod.example/'],
    ['a trailing slash after a segment', 'spiffe://prod.example/a/'],
    ['an empty segment', 'spiffe://prod.example//a'],
    ['a dot segment', 'spiffe://prod.example/a/./b'],
    ['a dot-dot segment', 'spiffe://prod.example/a/../b'],
    ['percent encoding', 'spiffe://prod.example/a%2fb'],
    ['an upper-case scheme', 'SPIFFE://prod.example/a'],
    ['an upper-case trust domain', 'spiffe://Prod.example/a'],
    ['a port', 'spiffe://prod.example:8443/a'],
    ['userinfo', 'spiffe://user@prod.example/a'],
    ['a query', 'spiffe://prod.example/a?b'],
    ['a fragment', 'spiffe://prod.example/a#b'],
    ['no trust domain', 'spiffe:///a'],
    ['another scheme', 'https://prod.example/a'],
    ['a space', 'spiffe://prod.example/a b'],
    ['a newline at the end', 'spiffe://prod.example/a\n'],
    ['a letter outside ASCII', 'spiffe://prod.example/é'],
    ['2049 bytes', `${longest}x`],
    ['a trust domain of 256 bytes', `spiffe://${'a'.repeat(256)}/a`],
    ['nothing', ''],
  ])('refuses %s', (_name, text) => {
    expect(parseSpiffeId(text)).toBeUndefined();
  });

  it('gives back each legal id with its trust domain', () => {
    const trustDomain = fc.stringMatching(/^[a-z0-9._-]{1,40}$/);
    const segment = fc
      .stringMatching(/^[a-zA-Z0-9._-]{1,20}$/)
      .filter((text) => text !== '.' && text !== '..');
    fc.assert(
      fc.property(trustDomain, fc.array(segment, { minLength: 1, maxLength: 6 }), (domain, segments) => {
        const id = parseSpiffeId(`spiffe://${domain}/${segments.join('/')}`);
        expect(id && trustDomainOf(id)).toBe(domain);
      }),
    );
  });
});
