/** Supposed claims give the identity, or the refusal, that a token with them would: for every platform's vectors. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { platforms } from '../../../src/credentials/platforms/index.ts';
import { createSuppose } from '../../../src/credentials/suppose.ts';
import {
  githubClaims,
  jwksOf,
  kubernetesClaims,
  makeKey,
  signToken,
  testNowMillis,
  testNowSeconds,
} from '../../support/tokens.ts';
import {
  makeDomain,
  makeIssuer,
  ownIssuer,
  ownTrustDomain,
  trusting,
  verifierFor,
} from '../../support/tokens-policy.ts';
import type { Vectors } from '../../support/tokens-vectors.ts';

const suppose = createSuppose({ issuer: ownIssuer, trustDomain: ownTrustDomain });
const platformNamed = (name: string) =>
  platforms.find((platform) => platform.name === name) ?? expect.unreachable();
/** What is filled in, or is the business of the token around the claims. */
const filledIn: readonly string[] = ['iss', 'aud', 'iat', 'exp', 'jti', 'sub'];

describe('claims', () => {
  it.each(platforms.filter(({ proof }) => proof === undefined))(
    'give what a token with them gives, for the vectors of $name',
    async (platform) => {
      const url = new URL(
        `../../../src/credentials/platforms/${platform.name}/vectors.json`,
        import.meta.url,
      );
      const vectors: Vectors = JSON.parse(readFileSync(url, 'utf8'));
      const key = await makeKey('vector-key', platform.algorithms[0]);
      const issuer = makeIssuer({
        name: 'vector',
        platform,
        issuerUrl: vectors.issuer,
        keys: { jwks: jwksOf(key) },
        ...(vectors.audiences === undefined ? {} : { audiences: vectors.audiences }),
        require: Object.entries(vectors.require ?? {}).map(([path, value]) => ({ path, values: [value] })),
      });
      const verify = verifierFor(issuer);
      let compared = 0;
      for (const { change } of [...vectors.accepted, ...vectors.refused]) {
        const all = { iss: vectors.issuer, ...vectors.claims, ...change };
        if (Object.entries(all).some(([name, value]) => value === null && filledIn.includes(name))) continue;
        const claims = JSON.parse(
          JSON.stringify(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null))),
        );
        const token = await signToken(key, claims, {
          ...vectors.header,
          typ: vectors.header.typ ?? undefined,
        });
        const verified = await verify(token).catch(({ reason }) => reason);
        let supposed: unknown;
        try {
          supposed = suppose({ issuer: 'vector', claims }, trusting(issuer), testNowMillis);
        } catch (error) {
          supposed = (error as { reason?: string }).reason;
        }
        if (typeof verified === 'string') expect(supposed).toBe(verified);
        else
          expect(supposed).toMatchObject({
            ...verified,
            ...(verified.onceKey ? { onceKey: expect.any(String) } : {}),
          });
        compared++;
      }
      expect(compared).toBeGreaterThanOrEqual(vectors.accepted.length);
    },
  );

  const cluster = makeIssuer({ name: 'cluster', platform: platformNamed('kubernetes') });
  const github = makeIssuer({
    name: 'ci',
    platform: platformNamed('github-actions'),
    issuerUrl: 'https://token.actions.githubusercontent.com',
    require: [{ path: 'repository_owner_id', values: ['65'] }],
    template: '/ci/{repository_id}',
  });
  const policy = trusting(cluster, github, makeDomain({ name: 'prod.example' }));
  const reasonOf = (...supposed: Parameters<typeof suppose>) => {
    try {
      return suppose(...supposed).spiffeId;
    } catch (error) {
      return (error as { reason?: string }).reason;
    }
  };
  const given = (issuer: string, claims: object) =>
    reasonOf({ issuer, claims: JSON.parse(JSON.stringify(claims)) }, policy, testNowMillis);

  it('need only what the document reads', () => {
    const { sub, 'kubernetes.io': kubernetes } = kubernetesClaims('', '');
    expect(given('cluster', { sub, 'kubernetes.io': kubernetes })).toBe(
      `spiffe://${ownTrustDomain}/cluster/ns/payments/sa/api`,
    );
    expect(given('ci', githubClaims(ownIssuer))).toBe(`spiffe://${ownTrustDomain}/ci/74`);
  });

  const unmappable = {
    sub: 'system:serviceaccount:payments:a/b',
    'kubernetes.io': { namespace: 'payments', serviceaccount: { name: 'a/b' } },
  };
  it.each([
    ['no such Issuer', 'none', {}, 'credential.unknown_issuer'],
    ['another iss', 'cluster', { iss: 'https://else.example' }, 'credential.unknown_issuer'],
    ['a SPIFFE ID as sub', 'cluster', { sub: 'spiffe://prod.example/a' }, 'credential.unknown_trust_domain'],
    ['another audience', 'cluster', { aud: 'https://else.example' }, 'credential.audience_mismatch'],
    [
      'a requirement unmet',
      'ci',
      githubClaims(ownIssuer, { repository_owner_id: '66' }),
      'credential.requirement_unmet',
    ],
    ['a claim that cannot stand in an ID', 'cluster', unmappable, 'credential.subject_unmappable'],
    ['a past exp', 'ci', githubClaims(ownIssuer, { exp: testNowSeconds - 1 }), 'credential.expired'],
  ])('are refused as the token would be: %s', (_title, issuer, claims, reason) => {
    expect(given(issuer, claims)).toBe(reason);
  });

  it('of a platform with a proof of its own are those that the proof gives', () => {
    const aws = makeIssuer({
      name: 'aws',
      platform: platformNamed('aws-instance-identity'),
      template: '/aws/{accountId}/{instanceId}',
      require: [{ path: 'accountId', values: ['123456789012'] }],
    });
    const claims = { accountId: '123456789012', instanceId: 'i-0abc' };
    const identity = suppose({ issuer: 'aws', claims }, trusting(aws), testNowMillis);
    expect(identity).toMatchObject({
      spiffeId: `spiffe://${ownTrustDomain}/aws/123456789012/i-0abc`,
      onceKey: expect.any(String),
    });
    expect(
      reasonOf({ issuer: 'aws', claims: { ...claims, accountId: '1' } }, trusting(aws), testNowMillis),
    ).toBe('credential.requirement_unmet');
  });

  describe('of a SPIFFE ID', () => {
    it('are an SVID’s in its trust domain, and a platform’s in our own', () => {
      expect(suppose({ spiffeId: 'spiffe://prod.example/orders' }, policy, testNowMillis)).toMatchObject({
        credentialKind: 'jwt-svid',
        trustDomain: 'prod.example',
        claims: { sub: 'spiffe://prod.example/orders', aud: ownIssuer },
      });
      const own = { spiffeId: `spiffe://${ownTrustDomain}/ci/74` };
      expect(suppose(own, policy, testNowMillis)).toMatchObject({
        credentialKind: 'platform-token',
        issuer: 'ci',
      });
    });

    it.each([
      ['no SPIFFE ID', 'prod.example/orders', 'credential.spiffe_id_invalid'],
      ['a trust domain that is not trusted', 'spiffe://lab.example/a', 'credential.unknown_trust_domain'],
      [
        'an ID of ours that no template gives',
        `spiffe://${ownTrustDomain}/cix/74`,
        'credential.unknown_issuer',
      ],
    ])('refuse %s', (_title, spiffeId, reason) => {
      expect(reasonOf({ spiffeId }, policy, testNowMillis)).toBe(reason);
    });

    it('refuse what a JWT-SVID’s claims would refuse', () => {
      const supposed = (claims: Record<string, number | string>) =>
        reasonOf({ spiffeId: 'spiffe://prod.example/orders', claims }, policy, testNowMillis);
      expect(supposed({ exp: testNowSeconds - 1 })).toBe('credential.expired');
      expect(supposed({ exp: testNowSeconds + 90_000 })).toBe('credential.lifetime_too_long');
      expect(supposed({ aud: 'https://else.example' })).toBe('credential.audience_mismatch');
      expect(supposed({ sub: 'spiffe://prod.example/else' })).toBe('credential.claim_malformed');
      expect(supposed({ exp: testNowSeconds + 60, aud: ownIssuer })).toBe('spiffe://prod.example/orders');
    });
  });
});
