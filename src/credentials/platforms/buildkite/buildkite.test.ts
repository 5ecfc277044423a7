import { describe, expect, it } from 'vitest';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { buildkite } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(buildkite, vectors);

describe('issuers that are shared', () => {
  it.each(['https://agent.buildkite.com', 'https://agent.buildkite.com/'])('%s is', (issuerUrl) => {
    expect(buildkite.isSharedIssuer(issuerUrl)).toBe(true);
  });

  it.each(['https://agent.buildkite.com.example'])('%s is not', (issuerUrl) => {
    expect(buildkite.isSharedIssuer(issuerUrl)).toBe(false);
  });
});
