import { describe, expect, it } from 'vitest';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { oidc } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(oidc, vectors);

describe('issuers from which anyone can have a token', () => {
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
    'https://oidc.modal.com',
    'https://oidc.deno.com',
    'https://login.microsoftonline.com/common/v2.0',
  ])('%s is shared', (issuer) => {
    expect(oidc.isSharedIssuer(issuer)).toBe(true);
  });

  it.each([
    'https://idp.example',
    'https://oidc.modal.com.example',
    'https://login.microsoftonline.com/11111111-0000-4000-8000-000000000001/v2.0',
    'https://oidc.circleci.com/org/11111111-2222-4333-8444-555555555555',
    'https://oidc.vercel.com/acme',
    'https://gitlab.example.com',
  ])('%s is not', (issuer) => {
    expect(oidc.isSharedIssuer(issuer)).toBe(false);
  });
});
