/** Bundles by the profile https_spiffe, over real TLS: who may be the endpoint, and how its roots rotate. */
import { afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openFetchDocument } from '../../../src/adapters/net/fetch-document.ts';
import { openKeySets } from '../../../src/credentials/jwks.ts';
import type { IssuerDouble } from '../../support/issuer-double.ts';
import { startTlsIssuerDouble } from '../../support/issuer-double-tls.ts';
import { makeSpiffeAuthority, type SpiffeAuthority } from '../../support/spiffe-authority.ts';
import { bundleOf, makeKey, type TestKey, testNowMillis } from '../../support/tokens.ts';
import { makeDomain } from '../../support/tokens-policy.ts';

const endpointSpiffeId = 'spiffe://prod.example/spire/server';
const host = 'bundle.prod.example';

let key: TestKey;
let authority: SpiffeAuthority;
let nextAuthority: SpiffeAuthority;
let double: IssuerDouble | undefined;

beforeAll(async () => {
  [key, authority, nextAuthority] = await Promise.all([
    makeKey('k1'),
    makeSpiffeAuthority('prod.example'),
    makeSpiffeAuthority('prod.example'),
  ]);
});

afterEach(async () => {
  await double?.close();
  double = undefined;
});

type Certificate = { readonly cert: string; readonly key: string };

const bundleWith = (...authorities: readonly SpiffeAuthority[]) => ({
  keys: [...bundleOf(key).keys, ...authorities.map(({ rootJwk }) => rootJwk)],
});

/** An endpoint with that certificate, and a document that trusts the first authority to begin with. */
async function open(certificate: Certificate, published = bundleWith(authority), port = 0) {
  let now = testNowMillis;
  double = await startTlsIssuerDouble(host, certificate, { bundle: published, port });
  const keySets = openKeySets({
    fetchDocument: openFetchDocument({ resolve: async () => [{ address: '127.0.0.1', family: 4 }] }),
    clock: { now: () => now },
  });
  onTestFinished(() => keySets.close());
  const domain = makeDomain({
    name: 'prod.example',
    bundle: {
      url: double.bundleUrl,
      profile: 'https_spiffe',
      endpointSpiffeId,
      bootstrap: { keys: [authority.rootJwk] },
      allowPrivateHosts: [host],
    },
  });
  return {
    kids: async () => (await keySets.bundleFor(domain).keys()).keys.map(({ kid }) => kid),
    status: () => keySets.status()[0],
    pass: (seconds: number) => {
      now += seconds * 1000;
    },
    /** The endpoint goes on at the same address with another certificate. */
    rotate: async (next: Certificate, bundle: unknown) => {
      const { port: samePort } = new URL(double?.url ?? '');
      await double?.close();
      double = await startTlsIssuerDouble(host, next, { bundle, port: Number(samePort) });
    },
  };
}

describe('the endpoint of a bundle', () => {
  it('is the server that has the SPIFFE ID under the bootstrap bundle, whatever its host name', async () => {
    const { kids } = await open(await authority.issue(endpointSpiffeId));
    expect(await kids()).toEqual(['k1']);
  });

  const uri = (value: string) => ({ type: 'url' as const, value });
  const dns = (value: string) => ({ type: 'dns' as const, value });
  const refused: readonly [string, () => Promise<Certificate>, string][] = [
    [
      'another ID',
      () => authority.issue('spiffe://prod.example/other'),
      `the server is not ${endpointSpiffeId}`,
    ],
    ['an ID below', () => authority.issue(`${endpointSpiffeId}/x`), `the server is not ${endpointSpiffeId}`],
    ['another root', () => nextAuthority.issue(endpointSpiffeId), 'unable to verify the first certificate'],
    [
      'a certificate that has expired',
      () => authority.issue(endpointSpiffeId, { atMillis: Date.now() - 86_400_000 / 2 }),
      'certificate has expired',
    ],
    [
      'a certificate that is not valid yet',
      () => authority.issue(endpointSpiffeId, { atMillis: Date.now() + 86_400_000 / 2 }),
      'certificate is not yet valid',
    ],
    [
      'two IDs',
      () => authority.issue('', { names: [uri(endpointSpiffeId), uri('spiffe://prod.example/other')] }),
      'has 2 URI names, not one',
    ],
    ['its host name alone', () => authority.issue('', { names: [dns(host)] }), 'has 0 URI names, not one'],
    [
      'a host name that looks like the ID',
      () => authority.issue('', { names: [dns(`a, URI:${endpointSpiffeId}, b`)] }),
      'has a name that is not plain',
    ],
    [
      'a certificate authority',
      () => authority.issue(endpointSpiffeId, { isAuthority: true }),
      'a certificate authority, not an X.509-SVID',
    ],
  ];
  it.each(refused)('is not a server with %s', async (_what, issue, problem) => {
    const { kids, status } = await open(await issue());
    await expect(kids()).rejects.toMatchObject({ reason: 'credential.keys_unavailable' });
    expect(status()?.lastError).toContain(problem);
  });

  it('answers for itself: a redirect is not followed', async () => {
    const { kids, status } = await open(await authority.issue(endpointSpiffeId));
    if (double) double.fault = { kind: 'status', status: 302, location: double.bundleUrl };
    await expect(kids()).rejects.toMatchObject({ reason: 'credential.keys_unavailable' });
    expect(status()?.lastError).toContain('redirects are not followed');
  });
});

describe('roots that the bundle itself rotates', () => {
  it('prove the endpoint from then on', async () => {
    const { kids, pass, rotate } = await open(
      await authority.issue(endpointSpiffeId),
      bundleWith(authority, nextAuthority),
    );
    expect(await kids()).toEqual(['k1']);
    const nextKey = await makeKey('k2');
    await rotate(await nextAuthority.issue(endpointSpiffeId), {
      keys: [...bundleOf(nextKey).keys, nextAuthority.rootJwk],
    });
    pass(300);
    await kids();
    await vi.waitFor(async () => expect(await kids()).toEqual(['k2']));
  });

  it.each([
    [
      'the bootstrap root, once it was withdrawn',
      () => bundleWith(nextAuthority),
      'verify the first certificate',
    ],
    ['anyone, once all roots were withdrawn', () => bundleWith(), 'names no root for X.509-SVIDs'],
  ])('do not let back %s', async (_who, published, problem) => {
    const { kids, pass, status } = await open(await authority.issue(endpointSpiffeId), published());
    expect(await kids()).toEqual(['k1']);
    pass(300);
    await kids();
    await vi.waitFor(() => expect(status()?.lastError).toContain(problem));
    pass(3600);
    await expect(kids()).rejects.toMatchObject({ reason: 'credential.keys_unavailable' });
  });
});
