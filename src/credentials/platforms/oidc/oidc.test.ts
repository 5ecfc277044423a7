import { describe, expect, it } from 'vitest';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { oidc } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(oidc, vectors);

describe('issuers from which anyone can have a token', () => {
  it.each([
    'https://accounts.google.com',
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
  ])('%s is not', (issuer) => {
    expect(oidc.isSharedIssuer(issuer)).toBe(false);
  });
});
