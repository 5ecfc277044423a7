import { describe, expect, it } from 'vitest';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { githubActions } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

const shared = [
  'https://token.actions.githubusercontent.com',
  'https://token.actions.githubusercontent.com/octo-enterprise',
];
const own = ['https://github.example.com/_services/token', 'https://token.actions.octo-corp.ghe.com'];

describeVectors(githubActions, vectors);

// Enterprise Server, tenants of ghe.com and enterprises with a slug send the same claims, each by an issuer of its own.
describe.each([...own, ...shared.slice(1)])('%s', (issuer) => {
  describeVectors(githubActions, { ...vectors, issuer });
});

describe('issuers that are shared', () => {
  it.each(shared)('%s is', (issuerUrl) => {
    expect(githubActions.isSharedIssuer(issuerUrl)).toBe(true);
  });

  it.each([...own, 'https://token.actions.githubusercontent.com.example'])('%s is not', (issuerUrl) => {
    expect(githubActions.isSharedIssuer(issuerUrl)).toBe(false);
  });
});
