import { describe, expect, it } from 'vitest';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { gitlabCi } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(gitlabCi, vectors);

describe('issuers that are shared', () => {
  it.each(['https://gitlab.com', 'https://gitlab.com/group'])('%s is', (issuerUrl) => {
    expect(gitlabCi.isSharedIssuer(issuerUrl)).toBe(true);
  });

  it.each(['https://gitlab.example.com', 'https://gitlab.com.example'])('%s is not', (issuerUrl) => {
    expect(gitlabCi.isSharedIssuer(issuerUrl)).toBe(false);
  });
});
