import { describe, expect, it } from 'vitest';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { terraformCloud } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(terraformCloud, vectors);

describe('issuers that are shared', () => {
  it.each(['https://app.terraform.io', 'https://app.eu.terraform.io'])('%s is', (issuerUrl) => {
    expect(terraformCloud.isSharedIssuer(issuerUrl)).toBe(true);
  });

  it.each(['https://tfe.example.com', 'https://app.terraform.io.example'])('%s is not', (issuerUrl) => {
    expect(terraformCloud.isSharedIssuer(issuerUrl)).toBe(false);
  });
});
