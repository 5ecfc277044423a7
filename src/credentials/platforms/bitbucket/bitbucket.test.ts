import { describe, expect, it } from 'vitest';
import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { bitbucket } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(bitbucket, vectors);

describe('issuers that are shared', () => {
  it.each(['https://api.bitbucket.org/2.0', 'https://api.bitbucket.org/2.0/workspaces/acme'])(
    '%s is',
    (issuerUrl) => {
      expect(bitbucket.isSharedIssuer(issuerUrl)).toBe(true);
    },
  );

  it.each(['https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc'])(
    '%s is not',
    (issuerUrl) => {
      expect(bitbucket.isSharedIssuer(issuerUrl)).toBe(false);
    },
  );
});
