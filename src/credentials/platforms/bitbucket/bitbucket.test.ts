import fc from 'fast-check';
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

describe('claims as a template reads them', () => {
  it('never become one where their UUIDs differ', () => {
    const braced = fc.uuid().map((uuid) => `{${uuid}}`);
    fc.assert(
      fc.property(braced, braced, (one, other) => {
        const [a, b] = [one, other].map((repositoryUuid) => bitbucket.subjectClaims?.({ repositoryUuid }));
        expect(a?.repositoryUuid === b?.repositoryUuid).toBe(one === other);
        expect(a?.repositoryUuid).toBe(one.slice(1, -1));
      }),
    );
  });

  it('keep every claim that is no UUID', () => {
    const claims = { branchName: '{main}', sub: '{a}:{b}', exp: 1 };
    expect(bitbucket.subjectClaims?.(claims)).toEqual(claims);
  });
});
