import { describe, expect, it } from 'vitest';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { context } from '../../../../test/unit/policy/example-policy.ts';
import { compilePolicy } from '../../../core/policy/compile.ts';
import { modal } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(modal, vectors);

describe('documents for modal', () => {
  const compile = (fields: object) => {
    const spec = { platform: 'modal', issuer: vectors.issuer, require: vectors.require, ...fields };
    const value = { apiVersion: 'mintmark/v1', kind: 'Issuer', metadata: { name: 'modal' }, spec };
    return compilePolicy([{ value, managedBy: 'rest', locate: () => ({}) }], context, 1);
  };

  it('name their tenant by id', () => {
    expect(compile({}).warnings).toEqual([]);
    expect(() => compile({ require: undefined })).toThrow(/anyone can get a token from this issuer/);
  });

  it('are warned about the audience that every verifier shares', () => {
    expect(compile({ audiences: vectors.audiences }).warnings).toMatchObject([
      { field: 'spec.audiences[0]' },
    ]);
  });

  it('are warned about a subject of names', () => {
    const subject = '/modal/{workspace_name}/{app_name}';
    expect(compile({ subject }).warnings).toMatchObject([{ field: 'spec.subject' }]);
  });
});
