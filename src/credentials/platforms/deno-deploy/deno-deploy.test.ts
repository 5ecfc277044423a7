import { describe, expect, it } from 'vitest';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { context } from '../../../../test/unit/policy/example-policy.ts';
import { compilePolicy } from '../../../core/policy/compile.ts';
import { denoDeploy } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(denoDeploy, vectors);

describe('documents for deno-deploy', () => {
  const compile = (fields: object) => {
    const spec = { platform: 'deno-deploy', issuer: vectors.issuer, require: vectors.require, ...fields };
    const value = { apiVersion: 'mintmark/v1', kind: 'Issuer', metadata: { name: 'deno-deploy' }, spec };
    return compilePolicy([{ value, managedBy: 'rest', locate: () => ({}) }], context, 1);
  };

  it('name their tenant by id', () => {
    expect(compile({}).warnings).toEqual([]);
    expect(() => compile({ require: undefined })).toThrow(/anyone can get a token from this issuer/);
  });

  it('are warned about a subject of slugs', () => {
    const subject = '/deno-deploy/{org_slug}/{app_slug}';
    expect(compile({ subject }).warnings).toMatchObject([{ field: 'spec.subject' }]);
  });
});
