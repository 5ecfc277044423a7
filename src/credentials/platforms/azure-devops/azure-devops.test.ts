import { describe, expect, it } from 'vitest';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { azureDevops } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(azureDevops, vectors);

describe('issuers that are shared', () => {
  it.each(['https://vstoken.dev.azure.com', 'https://vstoken.dev.azure.com/acme'])('%s is', (issuerUrl) => {
    expect(azureDevops.isSharedIssuer(issuerUrl)).toBe(true);
  });

  it.each(['https://vstoken.dev.azure.com/0a1b2c3d-0000-4000-8000-000000000001'])(
    '%s is not',
    (issuerUrl) => {
      expect(azureDevops.isSharedIssuer(issuerUrl)).toBe(false);
    },
  );
});
