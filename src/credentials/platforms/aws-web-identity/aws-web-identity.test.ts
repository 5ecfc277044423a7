import { describe, expect, it } from 'vitest';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { context } from '../../../../test/unit/policy/example-policy.ts';
import { compilePolicy } from '../../../core/policy/compile.ts';
import { awsWebIdentity } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(awsWebIdentity, vectors);
describeVectors({ ...awsWebIdentity, algorithms: ['ES384'] }, vectors);

describe('documents for aws-web-identity', () => {
  const compile = (require: object) => {
    const spec = { platform: 'aws-web-identity', issuer: vectors.issuer, require };
    const value = { apiVersion: 'mintmark/v1', kind: 'Issuer', metadata: { name: 'aws' }, spec };
    return compilePolicy([{ value, managedBy: 'rest', locate: () => ({}) }], context, 1);
  };

  it('may rest on tags of the principal, never on tags of the request', () => {
    const tag = (kind: string) => ({ [`https://sts.amazonaws.com/.${kind}.team`]: 'payments' });
    expect(compile(tag('principal_tags')).warnings).toEqual([]);
    expect(() => compile(tag('request_tags'))).toThrow(/which the caller itself writes/);
  });
});
