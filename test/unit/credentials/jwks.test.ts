/** Key sets over real sockets: discovery, rotation, outages, and what each document may fetch. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openFetchDocument } from '../../../src/adapters/net/fetch-document.ts';
import type { TrustedDomain, TrustedIssuer } from '../../../src/core/policy/snapshot.ts';
import { type KeySets, openKeySets } from '../../../src/credentials/jwks.ts';
import { createVerifier } from '../../../src/credentials/verify.ts';
import { type IssuerDouble, startIssuerDouble } from '../../support/issuer-double.ts';
import {
  bundleOf,
  type Claims,
  jwksOf,
  makeKey,
  makeSvid,
  signToken,
  type TestKey,
  testNowMillis,
  times,
} from '../../support/tokens.ts';
import {
  credential,
  makeDomain,
  makeIssuer,
  ownIssuer,
  ownTrustDomain,
  trusting,
} from '../../support/tokens-policy.ts';

const discoveryPath = '/.well-known/openid-configuration';

let key: TestKey;
let nextKey: TestKey;
let double: IssuerDouble;
let keySets: KeySets;
let now: number;
let logged: string[];

beforeAll(async () => {
  [key, nextKey] = await Promise.all([makeKey('k1'), makeKey('k2')]);
});

beforeEach(async () => {
  now = testNowMillis;
  logged = [];
  double = await startIssuerDouble({ keys: jwksOf(key), bundle: bundleOf(key) });
  keySets = openKeySets({
    fetchDocument: openFetchDocument({ totalTimeoutMillis: 1000 }),
    clock: { now: () => now },
    log: (message) => logged.push(message),
  });
});

afterEach(async () => {
  keySets.close();
  await double.close();
});

const issuer = (fields: Partial<TrustedIssuer> = {}) =>
  makeIssuer({ name: 'idp', issuerUrl: double.url, ...fields });
const domain = (fields: Partial<TrustedDomain> = {}) =>
  makeDomain({ name: 'prod.example', bundle: { url: double.bundleUrl, profile: 'https_web' }, ...fields });

async function present(token: string, ...trusted: (TrustedIssuer | TrustedDomain)[]) {
  const verify = createVerifier({
    keySets,
    issuer: ownIssuer,
    trustDomain: ownTrustDomain,
    platforms: [],
    callPlatform: () => Promise.reject(new Error('nobody is to be called')),
    readTokenFile: () => Promise.reject(new Error('no file is to be read')),
  });
  return await verify(credential(token), trusting(...trusted), now);
}

const token = (signer = key, claims: Claims = {}) =>
  signToken(signer, { iss: double.url, sub: 'worker', aud: ownIssuer, ...times(3600), ...claims });

const svid = (signer = key) =>
  makeSvid(signer, 'spiffe://prod.example/orders', ownIssuer, { exp: testNowMillis / 1000 + 3600 });

describe('the keys of an issuer', () => {
  it('are found by discovery once, for any number of tokens', async () => {
    const trusted = issuer();
    const signed = await token();
    await Promise.all(Array.from({ length: 20 }, () => present(signed, trusted)));
    await present(signed, trusted);
    expect(double.count(discoveryPath)).toBe(1);
    expect(double.count('/jwks')).toBe(1);
  });

  it('may stand at a URL of their own', async () => {
    await present(await token(), issuer({ keys: { jwksUri: double.jwksUrl } }));
    expect(double.count(discoveryPath)).toBe(0);
  });

  it('are seen at once when they rotate, and no more often than once in 60 s', async () => {
    const trusted = issuer();
    await present(await token(), trusted);
    double.keys = jwksOf(key, nextKey);
    expect(await present(await token(nextKey), trusted)).toMatchObject({ issuer: 'idp' });
    expect(double.count('/jwks')).toBe(2);
    for (let index = 0; index < 20; index++) {
      const stranger = await signToken(
        nextKey,
        { iss: double.url, sub: 'a', aud: ownIssuer, ...times() },
        { kid: `x${index}` },
      );
      await expect(present(stranger, trusted)).rejects.toMatchObject({ reason: 'credential.key_unknown' });
    }
    expect(double.count('/jwks')).toBe(2);
    expect(double.count(discoveryPath)).toBe(1);
  });

  it('that were withdrawn stop counting with the next refresh', async () => {
    const trusted = issuer();
    await present(await token(), trusted);
    double.keys = jwksOf(nextKey);
    now += 300_000;
    await present(await token(), trusted);
    await vi.waitFor(async () => {
      await expect(present(await token(), trusted)).rejects.toMatchObject({
        reason: 'credential.key_unknown',
      });
    });
  });

  it('are fetched again when max-age says so', async () => {
    double.headers = { 'cache-control': 'max-age=3600' };
    const trusted = issuer();
    await present(await token(), trusted);
    now += 2_800_000;
    await present(await token(), trusted);
    expect(double.count('/jwks')).toBe(1);
    now += 100_000;
    await present(await token(), trusted);
    await vi.waitFor(() => expect(double.count('/jwks')).toBe(2));
  });

  it.each<[string, (double: IssuerDouble) => unknown, string]>([
    [
      'another issuer',
      ({ jwksUrl }) => ({ issuer: 'https://x.example', jwks_uri: jwksUrl }),
      'names another issuer',
    ],
    [
      'a trailing slash',
      ({ url, jwksUrl }) => ({ issuer: `${url}/`, jwks_uri: jwksUrl }),
      'names another issuer',
    ],
    ['no jwks_uri', ({ url }) => ({ issuer: url }), 'jwks_uri is not a URL'],
    [
      'a jwks_uri without https',
      ({ url }) => ({ issuer: url, jwks_uri: 'http://x.example/jwks' }),
      'jwks_uri is not https',
    ],
    [
      'a jwks_uri at this machine by another name',
      ({ url }) => ({ issuer: url, jwks_uri: `http://localhost:${new URL(url).port}/jwks` }),
      'jwks_uri is not https',
    ],
    [
      'a jwks_uri in the cloud’s metadata',
      ({ url }) => ({ issuer: url, jwks_uri: 'https://169.254.169.254/jwks' }),
      '169.254.169.254 is refused',
    ],
    [
      'a jwks_uri in a private network',
      ({ url }) => ({ issuer: url, jwks_uri: 'https://10.0.0.1/jwks' }),
      '10.0.0.1 is private',
    ],
    ['a file', ({ url }) => ({ issuer: url, jwks_uri: 'file:///etc/passwd' }), 'jwks_uri is not https'],
    [
      'issuer twice',
      ({ url, jwksUrl }) => `{"issuer":"https://x.example","issuer":"${url}","jwks_uri":"${jwksUrl}"}`,
      'twice',
    ],
    ['a list', () => [], 'not a JSON object'],
    ['no JSON', () => '<html>', 'not JSON'],
  ])('are not taken from discovery with %s', async (_what, discovery, message) => {
    const trusted = issuer();
    double.discovery = discovery(double);
    await expect(present(await token(), trusted)).rejects.toMatchObject({
      reason: 'credential.keys_unavailable',
    });
    expect(keySets.status()).toMatchObject([
      { state: 'unavailable', lastError: expect.stringContaining(message) },
    ]);
    double.discovery = { issuer: double.url, jwks_uri: double.jwksUrl };
    now += 1000;
    expect(await present(await token(), trusted)).toMatchObject({ issuer: 'idp' });
  });

  it('are never fetched for an iss that nobody registered', async () => {
    await expect(present(await token(), issuer({ issuerUrl: 'https://x.example' }))).rejects.toMatchObject({
      reason: 'credential.unknown_issuer',
    });
    expect(double.count(discoveryPath)).toBe(0);
  });

  it('are not fetched for a token that its header betrays', async () => {
    const trusted = issuer();
    const bad = await signToken(
      key,
      { iss: double.url, sub: 'a', aud: ownIssuer, ...times() },
      { typ: 'at+jwt' },
    );
    await expect(present(bad, trusted)).rejects.toMatchObject({ reason: 'credential.type_refused' });
    const rs256 = await signToken(await makeKey('k1', 'RS256'), {
      iss: double.url,
      sub: 'a',
      aud: ownIssuer,
      ...times(),
    });
    const ecOnly = issuer({ platform: { ...trusted.platform, algorithms: ['ES256'] } });
    await expect(present(rs256, ecOnly)).rejects.toMatchObject({ reason: 'credential.algorithm_refused' });
    expect(double.count('/jwks')).toBe(0);
  });

  it('are served while the issuer is down, for a day, and then no more', async () => {
    const trusted = issuer();
    const present24h = async () =>
      present(await token(key, { iat: now / 1000, nbf: now / 1000, exp: now / 1000 + 60 }), trusted);
    await present24h();
    double.fault = { kind: 'status', status: 503 };
    now += 86_399_000;
    expect(await present24h()).toMatchObject({ issuer: 'idp' });
    await vi.waitFor(() => expect(keySets.status()).toMatchObject([{ state: 'stale', ageSeconds: 86_399 }]));
    expect(logged).toEqual(['keys of Issuer idp could not be fetched']);
    now += 1000;
    await expect(present24h()).rejects.toMatchObject({ reason: 'credential.keys_unavailable' });
    expect(keySets.status()).toMatchObject([{ state: 'unavailable' }]);
    double.fault = undefined;
    now += 60_000;
    expect(await present24h()).toMatchObject({ issuer: 'idp' });
    expect(keySets.status()).toMatchObject([{ state: 'fresh', keyCount: 1, ageSeconds: 0 }]);
  });

  it.each<[string, IssuerDouble['fault']]>([
    ['hangs', { kind: 'slow', delayMillis: 5000 }],
    ['answers without end', { kind: 'huge', bytes: 2_000_000 }],
    ['breaks off', { kind: 'reset' }],
    ['is not found', { kind: 'status', status: 404 }],
    ['redirects', { kind: 'status', status: 302, location: 'https://x.example' }],
  ])('that were never fetched leave tokens unverified while the issuer %s', async (_what, fault) => {
    double.fault = fault;
    await expect(present(await token(), issuer())).rejects.toMatchObject({
      reason: 'credential.keys_unavailable',
    });
    double.fault = undefined;
    now += 1000;
    expect(await present(await token(), issuer())).toMatchObject({ issuer: 'idp' });
  });

  it('of one issuer do not wait for those of another that shares its iss', async () => {
    const down = issuer({ name: 'down', keys: { jwksUri: `${double.url}/nothing` } });
    expect(await present(await token(), down, issuer())).toMatchObject({ issuer: 'idp' });
    await expect(present(await token(nextKey), down, issuer())).rejects.toMatchObject({
      reason: 'credential.keys_unavailable', // the token may well be that of the issuer that is down
    });
  });
});

describe('the bundle of a trust domain', () => {
  it('is fetched once, and verifies its SVIDs', async () => {
    const trusted = domain();
    await present(await svid(), trusted);
    expect(await present(await svid(), trusted)).toMatchObject({ trustDomain: 'prod.example' });
    expect(double.count('/bundle.json')).toBe(1);
  });

  it('follows its refresh hint, within bounds', async () => {
    double.bundle = { ...bundleOf(key), spiffe_refresh_hint: 1 };
    const trusted = domain();
    await present(await svid(), trusted);
    now += 7000;
    await present(await svid(), trusted);
    expect(double.count('/bundle.json')).toBe(1);
    now += 1000;
    await present(await svid(), trusted);
    await vi.waitFor(() => expect(double.count('/bundle.json')).toBe(2));
  });

  it('counts at once when it is emptied', async () => {
    double.bundle = { ...bundleOf(key), spiffe_sequence: 1 };
    const trusted = domain();
    await present(await svid(), trusted);
    double.bundle = { keys: [], spiffe_sequence: 2 };
    now += 240_000;
    await present(await svid(), trusted);
    await vi.waitFor(async () => {
      await expect(present(await svid(), trusted)).rejects.toMatchObject({
        reason: 'credential.key_unknown',
        detail: 'the issuer publishes no usable key',
      });
    });
  });

  it('never rolls back, even where sequences differ beyond 2^53', async () => {
    const sequenced = (keys: TestKey, sequence: string) =>
      JSON.stringify(bundleOf(keys)).replace(/}$/, `,"spiffe_sequence":${sequence}}`);
    double.bundle = sequenced(key, '9007199254740993');
    const trusted = domain();
    await present(await svid(), trusted);
    double.bundle = sequenced(nextKey, '9007199254740992');
    now += 240_000;
    await present(await svid(), trusted);
    await vi.waitFor(() => {
      expect(keySets.status()).toMatchObject([
        { state: 'stale', lastError: 'spiffe_sequence went back from 9007199254740993 to 9007199254740992' },
      ]);
    });
    expect(await present(await svid(), trusted)).toMatchObject({ trustDomain: 'prod.example' });
    double.bundle = sequenced(nextKey, '9007199254740994');
    now += 60_000;
    expect(await present(await svid(), trusted)).toBeDefined();
    await vi.waitFor(() => expect(keySets.status()).toMatchObject([{ state: 'fresh' }]));
    expect(await present(await svid(nextKey), trusted)).toMatchObject({ trustDomain: 'prod.example' });
  });

  it('is served stale for as long as its document says', async () => {
    const trusted = domain({ serveStaleSeconds: 600 });
    await present(await svid(), trusted);
    double.fault = { kind: 'status', status: 500 };
    now += 599_000;
    expect(await present(await svid(), trusted)).toBeDefined();
    await vi.waitFor(() => expect(keySets.status()).toMatchObject([{ state: 'stale' }]));
    now += 1000;
    await expect(present(await svid(), trusted)).rejects.toMatchObject({
      reason: 'credential.keys_unavailable',
    });
  });
});

describe('a policy', () => {
  it('has its sources fetched before they are used', async () => {
    keySets.prepare(trusting(issuer(), domain()));
    expect(keySets.status().map(({ state }) => state)).toEqual(['pending', 'pending']);
    await vi.waitFor(() => expect(keySets.status().map(({ state }) => state)).toEqual(['fresh', 'fresh']));
    expect(keySets.status()).toMatchObject([
      { kind: 'Issuer', name: 'idp', keyCount: 1 },
      { kind: 'TrustDomain', name: 'prod.example', keyCount: 1 },
    ]);
  });

  it('keeps what it has for documents that did not change, and drops those that are gone', async () => {
    keySets.prepare(trusting(issuer(), domain()));
    await vi.waitFor(() => expect(keySets.status().map(({ state }) => state)).toEqual(['fresh', 'fresh']));
    keySets.prepare(trusting(issuer({ audiences: ['api://other'] })));
    expect(keySets.status()).toMatchObject([{ name: 'idp', state: 'fresh' }]);
    await present(await token(), issuer());
    expect(double.count('/jwks')).toBe(1);
  });

  it('does not serve the keys of a document’s former source', async () => {
    await present(await token(), issuer({ keys: { jwksUri: double.jwksUrl } }));
    const moved = issuer({ keys: { jwks: jwksOf(nextKey) } });
    await expect(present(await token(), moved)).rejects.toMatchObject({ reason: 'credential.key_unknown' });
    expect(await present(await token(nextKey), moved)).toBeDefined();
  });

  it('is kept fresh without any use, by the clock, until it is closed', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const ticking = openKeySets({ fetchDocument: openFetchDocument(), clock: { now: () => now } });
    ticking.prepare(trusting(domain()));
    await vi.waitFor(() => expect(ticking.status()).toMatchObject([{ state: 'fresh' }]));
    now += 240_000;
    vi.advanceTimersByTime(1000);
    await vi.waitFor(() => expect(double.count('/bundle.json')).toBe(2));
    ticking.close();
    now += 240_000;
    vi.advanceTimersByTime(60_000);
    expect(vi.getTimerCount()).toBe(0);
    expect(double.count('/bundle.json')).toBe(2);
  });

  it('with keys that cannot be read refuses its tokens, and nothing else', async () => {
    const broken = issuer({ keys: { jwks: { keys: Array.from({ length: 101 }, () => ({ kty: 'EC' })) } } });
    keySets.prepare(trusting(broken, domain()));
    await expect(present(await token(), broken)).rejects.toMatchObject({
      reason: 'credential.keys_unavailable',
    });
    expect(await present(await svid(), broken, domain())).toMatchObject({ trustDomain: 'prod.example' });
  });
});
