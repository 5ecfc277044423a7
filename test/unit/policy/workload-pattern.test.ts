import { describe, expect, it } from 'vitest';
import { decide } from '../../../src/core/decide.ts';
import { compileWorkloadPattern } from '../../../src/core/policy/workload-pattern.ts';
import { parseSpiffeId } from '../../../src/core/spiffe-id.ts';
import { compileText, exampleWith, identity, problemsOf } from './example-policy.ts';
import { type Refusal, testRefusals } from './refusals.ts';

const exact = '- spiffeId: spiffe://prod.example/orders\n';
const needsTrustDomain =
  'must begin with one literal trust domain whose dots are escaped, then a path: spiffe://prod\\.example/team-[a-z]+/.*';
const refusal = (title: string, pattern: string, message: string): Refusal => ({
  title,
  part: exact,
  by: `- pattern: '${pattern}'\n`,
  document: 'Grant/orders',
  field: 'spec.subjects[0].pattern',
  message,
});

describe('patterns that are refused when written', () => {
  testRefusals([
    refusal('an unescaped dot in the trust domain', 'spiffe://prod.example/orders', needsTrustDomain),
    refusal('a wildcard as the trust domain', 'spiffe://.*\\.example/backend/.*', needsTrustDomain),
    refusal('a class in the trust domain', 'spiffe://prod[.]example/orders', needsTrustDomain),
    refusal('a flag before the scheme', '(?i)spiffe://prod\\.example/orders', needsTrustDomain),
    refusal('no path', 'spiffe://prod\\.example/', needsTrustDomain),
    refusal(
      'an alternative outside of parentheses',
      'spiffe://prod\\.example/orders|.*',
      'holds "|" outside of parentheses: write (?:a|b)',
    ),
    refusal(
      'lookahead',
      'spiffe://prod\\.example/(?=a)orders',
      'is not an RE2 expression (without lookaround or backreferences)',
    ),
    refusal(
      'a backreference',
      'spiffe://prod\\.example/(a)\\1',
      'is not an RE2 expression (without lookaround or backreferences)',
    ),
    refusal(
      'a parenthesis that closes more than it opened',
      'spiffe://prod\\.example/a)(.*',
      'is not an RE2 expression (without lookaround or backreferences)',
    ),
    refusal('a long pattern', `spiffe://prod\\.example/${'a'.repeat(256)}`, 'is longer than 256 characters'),
    refusal(
      'large repeat counts',
      'spiffe://prod\\.example/a{900}b{900}',
      'is too large: write smaller repeat counts',
    ),
    refusal(
      'an unknown trust domain',
      'spiffe://prd\\.example/orders',
      'there is no TrustDomain named "prd.example": did you mean "prod.example"?',
    ),
  ]);

  it.each(['.*', '.+', '[^/]+', '[a-z]+/.*', '(?:.*|orders)', '[^/]+/[^/]+'])(
    'takes %s only when acknowledged',
    (path) => {
      const text = exampleWith(exact, `- pattern: spiffe://prod\\.example/${path}\n`);
      expect(compileText(text).documents).toHaveLength(7);
      expect(problemsOf(text.replace('  acknowledgeWide: true\n', ''))).toContainEqual(
        expect.objectContaining({
          document: 'Grant/orders',
          field: 'spec.subjects[0].pattern',
          message:
            'covers workloads of any name: put a literal in its path, or write spec.acknowledgeWide: true if that is meant',
        }),
      );
    },
  );

  it('refuses more than 300 RE2 instructions for one trust domain, over all of its grants, and takes as many', () => {
    const patterns = (...lengths: number[]) =>
      exampleWith(
        exact,
        lengths.map((length) => `- pattern: spiffe://prod\\.example/${'w'.repeat(length)}\n`).join('    '),
      );
    const sizeOf = (length: number) => {
      const compiled = compileWorkloadPattern(`spiffe://prod\\.example/${'w'.repeat(length)}`);
      return typeof compiled === 'string' ? compiled : compiled.programSize;
    };
    expect([sizeOf(200), sizeOf(96)]).toEqual([202, 98]);
    expect(compileText(patterns(200, 96)).documents).toHaveLength(7);
    expect(problemsOf(patterns(200, 97))).toEqual([
      expect.objectContaining({
        document: 'Grant/orders',
        field: 'spec.subjects',
        message:
          'make the patterns for "prod.example", the other grants\' included, larger than 300 RE2 instructions: each is tried at every request of its workloads, so use prefix or spiffeId',
      }),
    ]);
  });
});

describe('what a pattern covers', () => {
  const covers = (pattern: string, id: string) => {
    const compiled = compileWorkloadPattern(pattern);
    const parsed = parseSpiffeId(id);
    if (typeof compiled === 'string' || parsed === undefined) throw new Error(String(compiled));
    return compiled.covers(parsed);
  };

  it.each([
    ['orders', 'spiffe://prod.example/orders', true],
    ['orders', 'spiffe://prod.example/orders/x', false],
    ['orders', 'spiffe://prod.example/x/orders', false],
    ['orders$', 'spiffe://prod.example/orders', true],
    ['team-[a-z]+/.*', 'spiffe://prod.example/team-a/b/c', true],
    ['team-[a-z]+/.*', 'spiffe://prodxexample/team-a/b', false],
    ['(?:a|b)', 'spiffe://prod.example/b', true],
    ['(?:a|ab)', 'spiffe://prod.example/ab', true],
    ['.*/backend', 'spiffe://evil.test/prod.example/backend', false],
    ['a+', `spiffe://prod.example/${'a'.repeat(256)}`, true],
    ['a+', `spiffe://prod.example/${'a'.repeat(257)}`, false],
  ])('%s on %s: %s', (path, id, expected) => {
    expect(covers(`spiffe://prod\\.example/${path}`, id)).toBe(expected);
    expect(covers(`^spiffe://prod\\.example/${path}`, id)).toBe(expected);
  });
});

describe('the allowlist forms of the gateway agents that grants replace', () => {
  const asking = (subject: string, id: string) => {
    const text = exampleWith(exact, '').replace(
      / {2}subjects:\n(?: .*- .*\n)+/,
      () => `  subjects: [{ ${subject} }]\n`,
    );
    const policy = compileText(text);
    const [audience] = policy.resourcesByAudience.keys();
    const at = Date.parse('2026-06-01T00:00:00Z');
    const decision = decide(identity(id), { audience }, policy, at);
    return decision.permit || decision.reason;
  };

  it.each([
    ['spiffeId: spiffe://prod.example/a', 'spiffe://prod.example/a', 'spiffe://prod.example/ab'],
    ['prefix: spiffe://prod.example/a', 'spiffe://prod.example/a/b', 'spiffe://prod.example/ab'],
    ['trustDomain: prod.example', 'spiffe://prod.example/z', 'spiffe://lab.example/prod.example'],
    [
      'pattern: spiffe://prod\\.example/backend/.*',
      'spiffe://prod.example/backend/y',
      'spiffe://lab.example/prod.example/backend/y',
    ],
  ])('%s gives to %s, not to %s', (subject, inside, outside) => {
    expect(asking(subject, inside)).toBe(true);
    expect(asking(subject, outside)).toBe('policy.no_grant');
  });

  it('refuses an empty list instead of reading it as everybody', () => {
    const text = exampleWith(exact, '').replace(/ {2}subjects:\n(?: .*- .*\n)+/, '  subjects: []\n');
    expect(problemsOf(text)).toEqual([
      expect.objectContaining({
        document: 'Grant/orders',
        field: 'spec.subjects',
        message: 'a grant without subjects would be for nobody: name at least one',
      }),
    ]);
  });
});
