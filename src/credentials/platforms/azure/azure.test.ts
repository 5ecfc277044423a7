import { describe, expect, it } from 'vitest';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { context } from '../../../../test/unit/policy/example-policy.ts';
import { compilePolicy } from '../../../core/policy/compile.ts';
import { azure } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };
import vectorsV2 from './vectors-v2.json' with { type: 'json' };

describeVectors(azure, vectors);
describeVectors(azure, vectorsV2);

describe('documents for azure', () => {
  const compile = (fields: object) => {
    const spec = { platform: 'azure', issuer: vectors.issuer, audiences: vectors.audiences, ...fields };
    const value = { apiVersion: 'mintmark/v1', kind: 'Issuer', metadata: { name: 'entra' }, spec };
    return compilePolicy([{ value, managedBy: 'rest', locate: () => ({}) }], context, 1);
  };

  it('name the tenant by their issuer', () => {
    expect(compile({}).warnings).toEqual([]);
    const shared = { issuer: 'https://login.microsoftonline.com/common/v2.0' };
    expect(() => compile(shared)).toThrow(/pin tid to your own/);
  });

  it('may not accept Azure Resource Manager’s audience', () => {
    expect(() => compile({ audiences: ['https://management.azure.com/'] })).toThrow(/meant for someone else/);
  });

  it('are warned about resource names alone', () => {
    const warnings = compile({ require: { xms_mirid: '/subscriptions/S' } }).warnings;
    expect(warnings).toMatchObject([{ field: 'spec.require' }]);
  });
});
