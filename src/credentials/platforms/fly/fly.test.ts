import { describe, expect, it } from 'vitest';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { fly } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(fly, vectors);

describe('issuers that are shared', () => {
  it.each(['https://oidc.fly.io', 'https://oidc.fly.io/'])('%s is', (issuerUrl) => {
    expect(fly.isSharedIssuer(issuerUrl)).toBe(true);
  });

  it.each(['https://oidc.fly.io/acme'])('%s is not', (issuerUrl) => {
    expect(fly.isSharedIssuer(issuerUrl)).toBe(false);
  });
});
