import { describe, expect, it } from 'vitest';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { vercel } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(vercel, vectors);

describe('issuers that are shared', () => {
  it.each(['https://oidc.vercel.com', 'https://oidc.vercel.com/'])('%s is', (issuerUrl) => {
    expect(vercel.isSharedIssuer(issuerUrl)).toBe(true);
  });

  it.each(['https://oidc.vercel.com/acme'])('%s is not', (issuerUrl) => {
    expect(vercel.isSharedIssuer(issuerUrl)).toBe(false);
  });
});
