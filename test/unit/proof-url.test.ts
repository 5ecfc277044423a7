/** Which spellings of a URL a proof may use, and that none of them is another origin's. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalProofUrl } from '../../src/core/proof-url.ts';

const url = 'https://sts.test/oauth/token';

describe('the same URL', () => {
  it.each([
    url,
    'HTTPS://STS.test/oauth/token',
    'https://sts.test:443/oauth/token',
    'https://sts.test:0443/oauth/token',
    'https://sts.test/./oauth/x/../token',
    'https://sts.test/%2E/oauth/token',
    'https://sts.test/%6Fauth/toke%6e',
    `${url}?a=b`,
    `${url}#part`,
    `${url}?a=https://evil.test/#x`,
  ])('is recognised as %s', (spelling) => {
    expect(normalProofUrl(spelling)).toBe(url);
  });

  it('has one spelling of what stays escaped', () => {
    expect(normalProofUrl('https://sts.test/a%2fb%c3%a9')).toBe('https://sts.test/a%2Fb%C3%A9');
    expect(normalProofUrl('https://sts.test')).toBe('https://sts.test/');
    expect(normalProofUrl('http://[::1]:80')).toBe('http://[::1]/');
  });
});

describe('another URL', () => {
  it.each([
    'http://sts.test/oauth/token',
    'https://sts.test:8443/oauth/token',
    'https://sts.test./oauth/token',
    'https://sts.test/oauth/token/',
    'https://sts.test//oauth/token',
    'https://sts.test/OAuth/token',
    'https://sts.test/oauth%2Ftoken',
    'https://evil.test/oauth/token',
    'https://sts.test.evil.test/oauth/token',
    'https://sts.test@evil.test/oauth/token',
    'https://evil.test#@sts.test/oauth/token',
    'https://evil.test?https://sts.test/oauth/token',
  ])('is not taken for it: %s', (another) => {
    expect(normalProofUrl(another)).not.toBe(url);
  });

  it.each([
    'https://user@sts.test/oauth/token',
    'https://user:word@sts.test/oauth/token',
    'https:\\\\sts.test\\oauth\\token',
    'https://sts.test\\@evil.test/oauth/token',
    'https:/sts.test/oauth/token',
    'https:sts.test/oauth/token',
    '//sts.test/oauth/token',
    '/oauth/token',
    'ftp://sts.test/oauth/token',
    ' https://sts.test/oauth/token',
    'https://sts.test/oauth/to\tken',
    'https://s%74s.test/oauth/token',
    'https://ｓts.test/oauth/token',
    'https://sts.test:99999/',
    'https://127.1/',
    'https://0x7f.0.0.1/',
    '',
    `https://sts.test/${'x'.repeat(2048)}`,
  ])('is none at all: %s', (text) => {
    expect(normalProofUrl(text)).toBeUndefined();
  });
});

/** Scheme and authority as RFC 3986 (appendix B) cuts them, by no URL parser. */
function originOf(text: string): string {
  const [, scheme = '', host = '', port] =
    /^([a-z]+):\/\/([^/?#:]*)(?::0*(\d+))?/i.exec(text)?.map((part) => part?.toLowerCase()) ?? [];
  return `${scheme}://${host}:${port ?? (scheme === 'https' ? '443' : '80')}`;
}

const piece = fc.constantFrom(
  ...[
    'https://',
    'http://',
    'sts.test',
    'evil.test',
    '@',
    ':',
    '443',
    '80',
    '/',
    '\\',
    '?',
    '#',
    '%2f',
    '%2e',
    '..',
  ],
  ...['oauth', 'token', '.', ';', '[', ']', '%', '%40', ' ', '\t', '\u3002', 'HTTPS:', '//', '%00', '&', '-'],
);

it('never takes another origin’s URL for ours, whatever it is made of', () => {
  let count = 0;
  fc.assert(
    fc.property(
      fc.constantFrom('https://sts.test', 'https://'),
      fc.array(piece, { maxLength: 8 }),
      (start, rest) => {
        const text = start + rest.join('');
        const normal = normalProofUrl(text);
        if (normal === undefined) return;
        count++;
        expect(originOf(normal)).toBe(originOf(text));
        expect(normalProofUrl(normal)).toBe(normal);
      },
    ),
    { numRuns: 2000 },
  );
  expect(count).toBeGreaterThan(100);
});
