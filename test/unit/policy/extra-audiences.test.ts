/** `extraAudiences`: taken with a warning, and never an audience that somebody else answers for. */
import { describe, expect, it } from 'vitest';
import { compileText, exampleText, problemsOf } from './example-policy.ts';

const audience = 'https://second.example';
const withExtra = (...extra: readonly string[]) =>
  `${exampleText}---\napiVersion: mintmark/v1\nkind: Resource\nmetadata: { name: second }\nspec: { audience: "${audience}", extraAudiences: ${JSON.stringify(extra)} }\n`;

describe('extraAudiences', () => {
  it('are taken, with a warning', () => {
    const policy = compileText(withExtra('https://a.example', 'https://b.example'));
    expect(policy.resourcesByAudience.get(audience)?.extraAudiences).toEqual([
      'https://a.example',
      'https://b.example',
    ]);
    expect(policy.resourcesByAudience.has('https://a.example')).toBe(false);
    expect(policy.warnings).toContainEqual(
      expect.objectContaining({
        document: 'Resource/second',
        field: 'spec.extraAudiences',
        message: expect.stringMatching(/a Resource for each is safer$/),
      }),
    );
  });

  it('are none by default, without a warning', () => {
    const policy = compileText(withExtra());
    expect(policy.warnings.filter(({ document }) => document === 'Resource/second')).toEqual([]);
  });

  it.each([
    ['https://sts.example', /^is an audience of Mintmark itself/],
    ['https://sts.example/oauth/token', /^is an audience of Mintmark itself/],
    ['https://sts.example/admin/v1', /^is an audience of Mintmark itself/],
    [
      'https://inventory.internal.example',
      /^is the audience of Resource\/inventory \(policy.yaml:\d+\): only a grant/,
    ],
    [audience, /^is the audience of Resource\/second/],
    ['two words', /^must hold no spaces/],
    ['', /^must not be empty$/],
  ])('refuse %s', (extra, message) => {
    expect(problemsOf(withExtra('https://a.example', extra))).toEqual([
      expect.objectContaining({
        document: 'Resource/second',
        field: 'spec.extraAudiences[1]',
        message: expect.stringMatching(message),
      }),
    ]);
  });

  it('refuse one twice, and more than eight', () => {
    expect(problemsOf(withExtra('https://a.example', 'https://a.example'))).toEqual([
      expect.objectContaining({ field: 'spec.extraAudiences[1]', message: 'stands here already' }),
    ]);
    const many = (count: number) => Array.from({ length: count }, (_, index) => `https://a${index}.example`);
    expect(() => compileText(withExtra(...many(8)))).not.toThrow();
    expect(problemsOf(withExtra(...many(9)))).toEqual([
      expect.objectContaining({ field: 'spec.extraAudiences', message: 'must hold at most 8 entries' }),
    ]);
  });
});
