/** Restarts and new replicas: what an earlier process fetched still counts, for as long as it would have counted there. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openFileKeyCache } from '../../../src/adapters/data-dir/key-cache.ts';
import { openFetchDocument } from '../../../src/adapters/net/fetch-document.ts';
import type { TrustedDomain, TrustedIssuer } from '../../../src/core/policy/snapshot.ts';
import type { KeyCache } from '../../../src/core/ports.ts';
import { Secret } from '../../../src/core/secret.ts';
import { openKeySets } from '../../../src/credentials/jwks.ts';
import { openLastGoods } from '../../../src/credentials/last-good.ts';
import { type IssuerDouble, startIssuerDouble } from '../../support/issuer-double.ts';
import { bundleOf, jwksOf, makeKey, type TestKey, testNowMillis } from '../../support/tokens.ts';
import { makeDomain, makeIssuer, trusting } from '../../support/tokens-policy.ts';

const keyEncryptionKey = new Secret<Uint8Array>(new Uint8Array(32).fill(7));
const hour = 3600;

let key: TestKey;
let otherKey: TestKey;
let double: IssuerDouble;
let folder: string;
let cache: KeyCache;
let now: number;
let problems: unknown[];
let issuer: TrustedIssuer;
let domain: TrustedDomain;

beforeAll(async () => {
  [key, otherKey] = await Promise.all([makeKey('k1'), makeKey('k2')]);
});

beforeEach(async () => {
  now = testNowMillis;
  problems = [];
  folder = await mkdtemp(join(tmpdir(), 'mintmark-last-good-'));
  cache = await openFileKeyCache(folder, { now: () => now });
  double = await startIssuerDouble({ keys: jwksOf(key), bundle: { ...bundleOf(key), spiffe_sequence: 7 } });
  issuer = makeIssuer({ name: 'idp', issuerUrl: double.url });
  domain = makeDomain({ name: 'prod.example', bundle: { url: double.bundleUrl, profile: 'https_web' } });
});

afterEach(async () => {
  await double.close();
  // What a process keeps in the background may still be on its way.
  await rm(folder, { recursive: true, maxRetries: 10, retryDelay: 20 });
});

/** A process: key sets of its own on the shared cache. */
function start(secret = keyEncryptionKey) {
  const keySets = openKeySets({
    fetchDocument: openFetchDocument({ totalTimeoutMillis: 1000 }),
    clock: { now: () => now },
    lastGoodOf: openLastGoods(cache, secret),
    log: (_message, error) => problems.push(error),
  });
  onTestFinished(() => keySets.close());
  return keySets;
}

const files = async () => (await readdir(folder)).filter((file) => /^[0-9a-f]{64}$/.test(file)).sort();
const kidsOf = async (source: { keys(): unknown }) =>
  ((await source.keys()) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid);

/** Fetches both documents, waits until they are kept, and takes the issuer down. */
async function fetchThenLose() {
  const keySets = start();
  await kidsOf(keySets.keysFor(issuer));
  await kidsOf(keySets.bundleFor(domain));
  await vi.waitFor(async () => expect(await files()).toHaveLength(2));
  keySets.close();
  double.fault = { kind: 'reset' };
}

/** Alters what the cache holds, as someone with write access to it can. */
async function tamper(alter: (text: string) => string) {
  for (const file of await files()) {
    const path = join(folder, file);
    await writeFile(path, alter(await readFile(path, 'utf8')));
  }
}

const unavailable = { reason: 'credential.keys_unavailable' };

describe('a restart while the issuer is down', () => {
  it('serves the last good keys, and starts cold without a cache of its own', async () => {
    await fetchThenLose();
    now += 0.9 * hour * 1000;
    const keySets = start();
    expect(await kidsOf(keySets.keysFor(issuer))).toEqual(['k1']);
    expect(await kidsOf(keySets.bundleFor(domain))).toEqual(['k1']);
    const another = makeDomain({ ...domain, name: 'other.example' });
    await expect(keySets.bundleFor(another).keys()).rejects.toMatchObject(unavailable);
  });

  it('serves them no longer than the process that fetched them would have', async () => {
    await fetchThenLose();
    now += hour * 1000;
    const keySets = start();
    await expect(keySets.bundleFor(domain).keys()).rejects.toMatchObject(unavailable);
    expect(await kidsOf(keySets.keysFor(issuer))).toEqual(['k1']);
    now += 23 * hour * 1000;
    await expect(start().keysFor(issuer).keys()).rejects.toMatchObject(unavailable);
  });

  it('does not let a clock that was ahead lengthen that time', async () => {
    now += 24 * hour * 1000;
    await fetchThenLose();
    now = testNowMillis;
    const keySets = start();
    expect(await kidsOf(keySets.bundleFor(domain))).toEqual(['k1']);
    now += hour * 1000;
    await expect(keySets.bundleFor(domain).keys()).rejects.toMatchObject(unavailable);
  });
});

describe('a new replica', () => {
  it('starts warm: keys that are fresh elsewhere are fresh here, without a request', async () => {
    await fetchThenLose();
    double.fault = undefined;
    const keySets = start();
    keySets.prepare(trusting(issuer, domain));
    await vi.waitFor(() => expect(keySets.status().map(({ state }) => state)).toEqual(['fresh', 'fresh']));
    expect([double.count('/jwks'), double.count('/bundle.json')]).toEqual([1, 1]);
  });

  it('refreshes keys that are due, and keeps the newer ones', async () => {
    await fetchThenLose();
    double.fault = undefined;
    double.keys = jwksOf(otherKey);
    now += 300_000;
    const keySets = start();
    expect(await kidsOf(keySets.keysFor(issuer))).toEqual(['k1']);
    await vi.waitFor(async () => expect(await kidsOf(keySets.keysFor(issuer))).toEqual(['k2']));
  });
});

describe('spiffe_sequence over a restart', () => {
  it('never rolls back, even when the keys are too old to count', async () => {
    await fetchThenLose();
    double.fault = undefined;
    double.bundle = { ...bundleOf(otherKey), spiffe_sequence: 6 };
    now += 2 * hour * 1000;
    await expect(start().bundleFor(domain).keys()).rejects.toMatchObject({
      ...unavailable,
      cause: { message: 'spiffe_sequence went back from 7 to 6' },
    });
    double.bundle = { ...bundleOf(otherKey), spiffe_sequence: 8 };
    expect(await kidsOf(start().bundleFor(domain))).toEqual(['k2']);
  });

  it('is not forgotten because another replica saw an older bundle', async () => {
    const lastGood = openLastGoods(cache, keyEncryptionKey)('source');
    const document = { text: '{}', at: now, freshForSeconds: 60 };
    await lastGood.save({ ...document, sequence: '18446744073709551616' });
    await lastGood.save({ ...document, sequence: '18446744073709551615' });
    expect(await lastGood.load()).toMatchObject({ sequence: '18446744073709551616' });
    await lastGood.save({ ...document, sequence: '18446744073709551617' });
    expect(await lastGood.load()).toMatchObject({ sequence: '18446744073709551617' });
  });
});

describe('someone who can write to the cache', () => {
  it.each([
    ['keys of their own', (text: string) => text.replaceAll('k1', 'k9')],
    ['a later time', (text: string) => text.replace(String(testNowMillis), String(testNowMillis + 1))],
    ['no seal', (text: string) => text.replace(/\n[^.]*\./, '\n.')],
    ['half an entry', (text: string) => text.slice(0, text.length / 2)],
    ['nothing that can be read', () => `${testNowMillis * 2}\nnonsense`],
  ])('cannot make us trust %s', async (_what, alter) => {
    await fetchThenLose();
    await tamper(alter);
    const keySets = start();
    await expect(keySets.keysFor(issuer).keys()).rejects.toMatchObject(unavailable);
    await expect(keySets.bundleFor(domain).keys()).rejects.toMatchObject(unavailable);
    expect(String(problems)).toContain('not one that this installation wrote');
    double.fault = undefined;
    expect(await kidsOf(start().keysFor(issuer))).toEqual(['k1']);
  });

  it("cannot give one source another's keys", async () => {
    await fetchThenLose();
    const [one = '', two = ''] = await files();
    await writeFile(join(folder, one), await readFile(join(folder, two)));
    const keySets = start();
    const results = await Promise.allSettled([
      kidsOf(keySets.keysFor(issuer)),
      kidsOf(keySets.bundleFor(domain)),
    ]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('is refused by an installation with another key-encryption key', async () => {
    await fetchThenLose();
    const keySets = start(new Secret(new Uint8Array(32).fill(8)));
    await expect(keySets.keysFor(issuer).keys()).rejects.toMatchObject(unavailable);
  });
});

it('a document that was put to another place reads nothing that was kept for the old one', async () => {
  await fetchThenLose();
  const moved = makeDomain({ ...domain, bundle: { ...domain.bundle, url: `${double.url}/elsewhere` } });
  await expect(start().bundleFor(moved).keys()).rejects.toMatchObject(unavailable);
});

it('a cache that is down is a cold start, and nothing worse', async () => {
  cache = { get: () => Promise.reject(new Error('down')), put: () => Promise.reject(new Error('down')) };
  expect(await kidsOf(start().keysFor(issuer))).toEqual(['k1']);
  await vi.waitFor(() => expect(problems.map(String)).toEqual(['Error: down', 'Error: down']));
});
