import { describe, expect, it } from 'vitest';
import { compileText, problemsOf } from './example-policy.ts';

const awsText = (extra = '', require = 'require: { account: "123456789012" }') => `apiVersion: mintmark/v1
kind: Issuer
metadata: { name: aws }
spec:
  platform: aws-caller-identity
  issuer: https://sts.amazonaws.com
  ${require}
  ${extra}
`;

describe('an Issuer document of AWS callers', () => {
  it('is accepted with an account alone', () => {
    const [issuer] = compileText(awsText()).issuers.get('https://sts.amazonaws.com') ?? [];
    expect(issuer?.subject.source).toBe('/aws/account/{account}/{principal|path}');
  });

  it.each([
    ['audiences', 'audiences: [https://sts.example]', 'leave it out'],
    ['maxTokenAge', 'maxTokenAge: 1m', 'leave it out'],
    ['keys', 'keys: { jwksUri: https://idp.example/keys }', 'leave it out'],
    ['keys', 'keys: { discovery: true, allowPrivateHosts: [sts.example] }', 'leave it out'],
  ])('is refused with %s, which would have no effect: %s', (field, extra, message) => {
    expect(problemsOf(awsText(extra))).toEqual([
      expect.objectContaining({ field: `spec.${field}`, message: expect.stringContaining(message) }),
    ]);
  });

  it('is refused with another issuer', () => {
    const text = awsText().replace('https://sts.amazonaws.com', 'https://sts.us-east-1.amazonaws.com');
    expect(problemsOf(text)).toEqual([
      expect.objectContaining({
        field: 'spec.issuer',
        message: expect.stringContaining('must be https://sts.'),
      }),
    ]);
  });

  it.each(['', 'require: { role: orders-api }'])('is refused without an account: %s', (require) => {
    expect(problemsOf(awsText('', require))).toEqual([
      expect.objectContaining({ field: 'spec.require', message: expect.stringContaining('pin account') }),
    ]);
  });

  it('is refused beside another that one caller could satisfy too, and accepted beside another account', () => {
    const other = awsText().replace('name: aws', 'name: other');
    expect(problemsOf(`${awsText()}---\n${other}`)).toHaveLength(1);
    expect(() =>
      compileText(`${awsText()}---\n${other.replace('123456789012', '999999999999')}`),
    ).not.toThrow();
  });
});
