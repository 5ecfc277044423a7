import { describe, expect, it } from 'vitest';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { oidc } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(oidc, vectors);

describe('issuers that are shared', () => {
  it.each([
    'https://token.actions.githubusercontent.com',
    'https://gitlab.com',
    'https://accounts.google.com',
    'https://agent.buildkite.com',
    'https://app.terraform.io',
    'https://app.eu.terraform.io',
    'https://oidc.circleci.com',
    'https://oidc.fly.io',
    'https://oidc.vercel.com',
  ])('%s is', (issuerUrl) => {
    expect(oidc.isSharedIssuer(issuerUrl)).toBe(true);
  });

  it.each([
    'https://oidc.circleci.com/org/11111111-2222-4333-8444-555555555555',
    'https://oidc.vercel.com/acme',
    'https://gitlab.example.com',
  ])('%s is not', (issuerUrl) => {
    expect(oidc.isSharedIssuer(issuerUrl)).toBe(false);
  });
});
