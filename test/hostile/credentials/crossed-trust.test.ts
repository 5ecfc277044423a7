/** One issuer or trust domain that tries to speak for another. Each attack signs for real, with a key that we do trust. */
import { beforeAll, describe, expect, it } from 'vitest';
import { githubActions } from '../../../src/credentials/platforms/github-actions/index.ts';
import { kubernetes } from '../../../src/credentials/platforms/kubernetes/index.ts';
import {
  bundleOf,
  githubClaims,
  jwksOf,
  kubernetesClaims,
  makeKey,
  makeSvid,
  signToken,
  type TestKey,
  testNowSeconds,
} from '../../support/tokens.ts';
import {
  makeDomain,
  makeIssuer,
  ownIssuer,
  ownTrustDomain,
  type Present,
  verifierFor,
} from '../../support/tokens-policy.ts';

const clusterUrl = 'https://oidc.cluster.example';

let prodKey: TestKey;
let devKey: TestKey;
let clusterKey: TestKey;
let githubKey: TestKey;
let present: Present;

beforeAll(async () => {
  // All under one kid, so that nothing but the separation of key sets keeps them apart.
  [prodKey, devKey, clusterKey, githubKey] = await Promise.all([
    makeKey('same'),
    makeKey('same'),
    makeKey('same'),
    makeKey('same', 'RS256'),
  ]);
  present = verifierFor(
    makeDomain({ name: 'prod.example', bundle: { static: bundleOf(prodKey) } }),
    makeDomain({ name: 'dev.example', bundle: { static: bundleOf(devKey) } }),
    makeDomain({ name: ownTrustDomain, bundle: { static: bundleOf(devKey) } }),
    makeIssuer({
      name: 'cluster',
      platform: kubernetes,
      issuerUrl: clusterUrl,
      keys: { jwks: jwksOf(clusterKey) },
    }),
    makeIssuer({
      name: 'github',
      platform: githubActions,
      issuerUrl: 'https://token.actions.githubusercontent.com',
      keys: { jwks: jwksOf(githubKey) },
      require: [{ path: 'repository_owner_id', values: ['65'] }],
    }),
  );
});

const prodOrders = 'spiffe://prod.example/orders';

describe('a trust domain', () => {
  it('cannot sign an SVID of another', async () => {
    expect(await present(await makeSvid(prodKey, prodOrders, ownIssuer))).toMatchObject({
      spiffeId: prodOrders,
    });
    await expect(present(await makeSvid(devKey, prodOrders, ownIssuer))).rejects.toMatchObject({
      reason: 'credential.signature_invalid',
    });
  });

  it('cannot be reached by an iss that names another', async () => {
    const svid = await makeSvid(devKey, prodOrders, ownIssuer, { iss: 'spiffe://dev.example' });
    await expect(present(svid)).rejects.toMatchObject({ reason: 'credential.signature_invalid' });
  });

  it('cannot sign for ours, even where a document says so', async () => {
    const ours = `spiffe://${ownTrustDomain}/admin`;
    expect(await present(await makeSvid(devKey, 'spiffe://dev.example/a', ownIssuer))).toBeDefined();
    await expect(present(await makeSvid(devKey, ours, ownIssuer))).rejects.toMatchObject({
      reason: 'credential.unknown_trust_domain',
    });
  });

  it('cannot sign a platform token', async () => {
    const claims = kubernetesClaims(clusterUrl, ownIssuer);
    expect(await present(await signToken(clusterKey, claims))).toMatchObject({ issuer: 'cluster' });
    await expect(present(await signToken(prodKey, claims))).rejects.toMatchObject({
      reason: 'credential.signature_invalid',
    });
  });

  it('does not sign with a key of its bundle that is for something else', async () => {
    const [svid] = bundleOf(prodKey).keys;
    const offered = (use: unknown) =>
      verifierFor(
        makeDomain({ name: 'prod.example', bundle: { static: { keys: [{ ...svid, kty: 'EC', use }] } } }),
      );
    const token = await makeSvid(prodKey, prodOrders, ownIssuer);
    expect(await offered('jwt-svid')(token)).toMatchObject({ spiffeId: prodOrders });
    for (const use of ['sig', 'x509-svid', 'wit-svid', 'JWT-SVID', undefined]) {
      await expect(offered(use)(token)).rejects.toMatchObject({ reason: 'credential.key_unknown' });
    }
  });

  it('whose bundle is empty vouches for nobody', async () => {
    const empty = verifierFor(makeDomain({ name: 'prod.example', bundle: { static: { keys: [] } } }));
    await expect(empty(await makeSvid(prodKey, prodOrders, ownIssuer))).rejects.toMatchObject({
      reason: 'credential.key_unknown',
    });
  });
});

describe('a platform', () => {
  it.each(['spiffe://prod.example/orders', 'SPIFFE://prod.example/orders', 'Spiffe:prod'])(
    'cannot speak for a trust domain by the sub %s',
    async (sub) => {
      const token = await signToken(clusterKey, kubernetesClaims(clusterUrl, ownIssuer, { sub }));
      for (const declaredType of ['any', 'jwt', 'jwt-svid'] as const) {
        await expect(present(token, 'subject_token', { declaredType })).rejects.toMatchObject({
          reason: sub.startsWith('spiffe://')
            ? 'credential.signature_invalid'
            : 'credential.spiffe_id_invalid',
        });
      }
    },
  );

  it('cannot speak for another platform', async () => {
    const claims = githubClaims(ownIssuer);
    expect(await present(await signToken(githubKey, claims))).toMatchObject({
      spiffeId: 'spiffe://mint.example/github/owner/65/repo/74',
    });
    await expect(present(await signToken(clusterKey, claims))).rejects.toMatchObject({
      reason: 'credential.algorithm_refused',
    });
  });

  it.each([
    ['..', '..'],
    ['a slash', 'x/sa/admin'],
    ['a percent sign', 'x%2Fsa'],
    ['a space', 'x y'],
    ['a line break', 'x\ny'],
    ['an upper-case look-alike', 'аpi'],
    ['nothing', ''],
  ])('cannot climb out of its own IDs by %s in a claim', async (_what, name) => {
    const details = { namespace: 'payments', serviceaccount: { name } };
    const sub = `system:serviceaccount:payments:${name}`;
    const claims = kubernetesClaims(clusterUrl, ownIssuer, { sub, 'kubernetes.io': details });
    await expect(present(await signToken(clusterKey, claims))).rejects.toMatchObject({
      reason: 'credential.subject_unmappable',
    });
  });

  it('cannot be read in two ways by a dotted claim beside a nested one', async () => {
    const claims = kubernetesClaims(clusterUrl, ownIssuer);
    expect(await present(await signToken(clusterKey, claims))).toMatchObject({ issuer: 'cluster' });
    for (const twin of [
      { 'kubernetes.io.namespace': 'kube-system' },
      { kubernetes: { io: { namespace: 'kube-system' } } },
    ]) {
      await expect(present(await signToken(clusterKey, { ...claims, ...twin }))).rejects.toMatchObject({
        reason: 'credential.subject_unmappable',
      });
    }
  });

  it('is refused for the token that Kubernetes injects by default: a year of life, for the API server', async () => {
    const year = { exp: testNowSeconds + 31_536_000 };
    const forUs = await signToken(clusterKey, kubernetesClaims(clusterUrl, ownIssuer, year));
    await expect(present(forUs)).rejects.toMatchObject({ reason: 'credential.lifetime_too_long' });
    const forItself = await signToken(clusterKey, kubernetesClaims(clusterUrl, clusterUrl));
    await expect(present(forItself)).rejects.toMatchObject({ reason: 'credential.audience_mismatch' });
  });

  it('is refused for anyone’s GitHub token: only the organisation’s own id counts', async () => {
    const stranger = githubClaims(ownIssuer, {
      sub: 'repo:evil/octo-repo:ref:refs/heads/main',
      repository: 'evil/octo-repo',
      repository_owner: 'evil',
      repository_owner_id: '66',
    });
    await expect(present(await signToken(githubKey, stranger))).rejects.toMatchObject({
      reason: 'credential.requirement_unmet',
    });
  });
});
