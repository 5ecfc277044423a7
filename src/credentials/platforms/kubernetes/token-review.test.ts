/** TokenReview against an API server over TLS that verifies tokens itself: no key of the cluster is known here. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type ApiServerDouble,
  type ReviewStatus,
  startApiServerDouble,
} from '../../../../test/support/api-server-double.ts';
import { makeAuthority } from '../../../../test/support/issuer-double-tls.ts';
import {
  type Claims,
  kubernetesClaims,
  makeKey,
  signToken,
  testNowMillis,
  times,
} from '../../../../test/support/tokens.ts';
import {
  credential,
  makeIssuer,
  ownIssuer,
  ownTrustDomain,
  trusting,
} from '../../../../test/support/tokens-policy.ts';
import { openCallPlatform } from '../../../adapters/net/call-platform.ts';
import { readTokenFile } from '../../../adapters/token-file/read.ts';
import { openKeySets } from '../../jwks.ts';
import { createVerifier } from '../../verify.ts';
import { platforms } from '../index.ts';
import { kubernetes } from './index.ts';

const issuerUrl = 'https://kubernetes.default.svc.cluster.local';
const folder = mkdtempSync(join(tmpdir(), 'mintmark-review-'));
const tokenFile = join(folder, 'token');
const keySets = openKeySets({
  fetchDocument: () => Promise.reject(new Error('nothing is to be fetched')),
  clock: { now: () => testNowMillis },
});
const verify = createVerifier({
  keySets,
  issuer: ownIssuer,
  trustDomain: ownTrustDomain,
  platforms,
  callPlatform: openCallPlatform({ totalTimeoutMillis: 2000 }),
  readTokenFile,
});

let server: ApiServerDouble;
let second: ApiServerDouble;
beforeAll(async () => {
  [server, second] = await Promise.all([startApiServerDouble(issuerUrl), startApiServerDouble(issuerUrl)]);
});
afterAll(async () => {
  keySets.close();
  rmSync(folder, { recursive: true, force: true });
  await Promise.all([server.close(), second.close()]);
});
beforeEach(() => {
  server.alter = undefined;
  server.deleted.clear();
  writeFileSync(tokenFile, `${server.reviewerToken}\n`);
});

const cluster = (name = 'prod', of = server, changes: object = {}) =>
  makeIssuer({
    name,
    platform: kubernetes,
    issuerUrl,
    keys: {
      tokenReview: { url: of.url, caCertificate: of.caCertificate, tokenFile, ...changes },
      allowPrivateHosts: ['localhost'],
    },
  });
const tokenWith = (claims: Claims = {}, key = server.key) =>
  signToken(key, kubernetesClaims(issuerUrl, ownIssuer, claims));
const present = (token: string, ...issuers: ReturnType<typeof cluster>[]) =>
  verify(credential(token), trusting(...(issuers.length > 0 ? issuers : [cluster()])), testNowMillis);

describe('TokenReview', () => {
  it('takes a token that the API server knows, for our audience, and fetches no keys', async () => {
    server.asked.length = 0;
    const policy = trusting(cluster());
    keySets.prepare(policy);
    const identity = await verify(credential(await tokenWith()), policy, testNowMillis);
    expect(identity.spiffeId).toBe(`spiffe://${ownTrustDomain}/prod/ns/payments/sa/api`);
    expect(server.asked).toEqual([{ audiences: [ownIssuer] }]);
    expect(keySets.status()).toEqual([]);
  });

  it('takes a token that is bound to no pod', async () => {
    const details = { namespace: 'payments', serviceaccount: { name: 'api', uid: 'u-1' } };
    await expect(present(await tokenWith({ 'kubernetes.io': details }))).resolves.toMatchObject({
      issuer: 'prod',
    });
  });

  it('tells clusters of one issuer name apart by which of them knows the token', async () => {
    writeFileSync(join(folder, 'second'), second.reviewerToken);
    const other = cluster('lab', second, { tokenFile: join(folder, 'second') });
    await expect(present(await tokenWith(), other, cluster())).resolves.toMatchObject({ issuer: 'prod' });
    const theirs = await tokenWith({}, second.key);
    await expect(present(theirs, cluster(), other)).resolves.toMatchObject({ issuer: 'lab' });
  });

  it('refuses a token that another key signed', async () => {
    const forged = await tokenWith({}, await makeKey('sa-key', 'RS256'));
    await expect(present(forged)).rejects.toMatchObject({ reason: 'credential.signature_invalid' });
  });

  it('refuses the token of an account that is deleted, which keys would still verify', async () => {
    const token = await tokenWith();
    await expect(present(token)).resolves.toMatchObject({ issuer: 'prod' });
    server.deleted.add('payments:api');
    await expect(present(token)).rejects.toMatchObject({ reason: 'credential.signature_invalid' });
  });

  it('refuses by the claims what the document does not accept', async () => {
    const foreign = await signToken(server.key, kubernetesClaims(issuerUrl, 'https://other.example'));
    await expect(present(foreign)).rejects.toMatchObject({ reason: 'credential.signature_invalid' });
    const yearLong = await tokenWith(times(365 * 86_400));
    await expect(present(yearLong)).rejects.toMatchObject({ reason: 'credential.lifetime_too_long' });
  });

  const changed = (change: (user: NonNullable<ReviewStatus['user']>) => void) => (status: ReviewStatus) => {
    if (status.user) change(status.user);
    return status;
  };
  it.each<[string, string, (status: ReviewStatus) => unknown]>([
    ['no audiences', 'credential.audience_mismatch', ({ audiences: _, ...status }) => status],
    [
      'another audience',
      'credential.audience_mismatch',
      (status) => ({ ...status, audiences: ['https://x'] }),
    ],
    ['no user', 'credential.signature_invalid', ({ user: _, ...status }) => status],
    [
      'no word on authentication',
      'credential.signature_invalid',
      ({ authenticated: _, ...status }) => status,
    ],
    [
      'a person',
      'credential.platform_refused',
      changed((user) => {
        user.username = 'kubernetes-admin';
      }),
    ],
    [
      'five parts',
      'credential.platform_refused',
      changed((user) => {
        user.username += ':x';
      }),
    ],
    [
      'no group',
      'credential.platform_refused',
      changed((user) => {
        user.groups = ['system:authenticated'];
      }),
    ],
    [
      'another account',
      'credential.platform_refused',
      changed((user) => {
        user.username = 'system:serviceaccount:payments:other';
      }),
    ],
    [
      'another namespace',
      'credential.platform_refused',
      changed((user) => {
        user.username = 'system:serviceaccount:other:api';
      }),
    ],
    [
      'another uid',
      'credential.platform_refused',
      changed((user) => {
        user.uid = 'other';
      }),
    ],
    [
      'another pod',
      'credential.platform_refused',
      changed((user) => {
        user.extra['authentication.kubernetes.io/pod-uid'] = ['other'];
      }),
    ],
    [
      'no pod',
      'credential.platform_refused',
      changed((user) => {
        user.extra = {};
      }),
    ],
    [
      'two pods',
      'credential.platform_refused',
      changed((user) => {
        user.extra['authentication.kubernetes.io/pod-name'] = ['api-7d', 'x'];
      }),
    ],
    [
      'a node that the token does not name',
      'credential.platform_refused',
      changed((user) => {
        user.extra['authentication.kubernetes.io/node-name'] = ['n1'];
      }),
    ],
    ['no TokenReview', 'credential.platform_unavailable', () => '{"kind":"Status"}'],
    ['no JSON', 'credential.platform_unavailable', () => 'ok'],
    ['too much', 'credential.platform_unavailable', () => ' '.repeat(65 * 1024)],
  ])('refuses an answer with %s: %s', async (_name, reason, alter) => {
    const token = await tokenWith();
    await expect(present(token)).resolves.toMatchObject({ issuer: 'prod' });
    server.alter = alter;
    await expect(present(token)).rejects.toMatchObject({ reason });
  });
});

describe('our own mistakes are not the caller’s', () => {
  const refused = async (detail: RegExp, ...issuers: ReturnType<typeof cluster>[]) => {
    const refusal = await present(await tokenWith(), ...issuers).catch((error: unknown) => error);
    expect(refusal).toMatchObject({
      reason: 'credential.platform_unavailable',
      code: 'temporarily_unavailable',
    });
    expect(refusal).toHaveProperty('detail', expect.stringMatching(detail));
  };

  it('a reviewer whose token is not accepted', async () => {
    writeFileSync(tokenFile, await tokenWith());
    await refused(/401/);
  });

  it('a reviewer without the right', async () => {
    writeFileSync(tokenFile, server.otherToken);
    await refused(/403/);
  });

  it('no file, and a file that holds no JWT, whose text is sent to nobody', async () => {
    await refused(/tokenFile/, cluster('prod', server, { tokenFile: join(folder, 'none') }));
    server.asked.length = 0;
    writeFileSync(tokenFile, 'canary-password');
    await refused(/tokenFile/);
    expect(server.asked).toEqual([]);
  });

  it('a server of another authority, another path, or none', async () => {
    const { certificate } = await makeAuthority();
    await refused(/could not be asked/, cluster('prod', server, { caCertificate: certificate }));
    await refused(/404/, cluster('prod', server, { url: `${server.url}/other` }));
    await refused(/could not be asked/, cluster('prod', server, { url: 'https://localhost:1' }));
  });
});
