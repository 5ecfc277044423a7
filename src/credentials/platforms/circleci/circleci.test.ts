import { describe, expect, it } from 'vitest';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { circleci } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(circleci, vectors);

describe('issuers that are shared', () => {
  it.each(['https://oidc.circleci.com', 'https://oidc.circleci.com/', 'https://oidc.circleci.com/org/acme'])(
    '%s is',
    (issuerUrl) => {
      expect(circleci.isSharedIssuer(issuerUrl)).toBe(true);
    },
  );

  it.each([
    'https://oidc.circleci.com/org/11111111-2222-4333-8444-555555555555',
    'https://circleci.example.com',
  ])('%s is not', (issuerUrl) => {
    expect(circleci.isSharedIssuer(issuerUrl)).toBe(false);
  });
});
