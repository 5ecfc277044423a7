/** Bundles from a local agent, over a real Unix socket: each message counts at once, and an agent that is gone is borne for a while. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openFileKeyCache } from '../../../src/adapters/data-dir/key-cache.ts';
import { openWorkloadApi } from '../../../src/adapters/workload-api/open.ts';
import type { BundleState } from '../../../src/core/ports.ts';
import { Secret } from '../../../src/core/secret.ts';
import { openKeySets } from '../../../src/credentials/jwks.ts';
import { openLastGoods } from '../../../src/credentials/last-good.ts';
import { createVerifier } from '../../../src/credentials/verify.ts';
import { makeSpiffeAuthority, type SpiffeAuthority } from '../../support/spiffe-authority.ts';
import { jwksOf, makeKey, makeSvid, type TestKey, testNowMillis } from '../../support/tokens.ts';
import { credential, makeDomain, ownIssuer, trusting, verifierOptions } from '../../support/tokens-policy.ts';
import { startWorkloadApiDouble, type WorkloadApiDouble } from '../../support/workload-api-double.ts';

const prod = 'spiffe://prod.example';
const other = 'spiffe://other.example';

let key: TestKey;
let otherKey: TestKey;
let authority: SpiffeAuthority;
let agent: WorkloadApiDouble;
let now: number;

beforeAll(async () => {
  [key, otherKey, authority] = await Promise.all([
    makeKey('k1'),
    makeKey('k2'),
    makeSpiffeAuthority('prod.example'),
  ]);
});

/** As SPIRE sends them: without `use`. */
const jwks = (...keys: readonly TestKey[]) => ({
  keys: jwksOf(...keys).keys.map(({ use: _use, ...jwk }) => jwk),
});
const both = () => ({
  jwt: { [prod]: jwks(key), [other]: jwks(otherKey) },
  x509: { [prod]: authority.rootDer },
});

beforeEach(async () => {
  now = testNowMillis;
  agent = await startWorkloadApiDouble(both());
});
afterEach(() => agent.close());

const domainOf = (name: string) => makeDomain({ name, bundle: { workloadApi: agent.socket } });

function openPresenter(options: Partial<Parameters<typeof openKeySets>[0]> = {}) {
  const keySets = openKeySets({
    fetchDocument: () => Promise.reject(new Error('nothing is to be fetched')),
    watchBundles: openWorkloadApi({ firstBackoffMillis: 20 }),
    clock: { now: () => now },
    ...options,
  });
  onTestFinished(() => keySets.close());
  const policy = trusting(domainOf('prod.example'), domainOf('other.example'));
  keySets.prepare(policy);
  const verify = createVerifier({ ...verifierOptions, keySets });
  return {
    present: async (signer: TestKey, trustDomain: string) =>
      (
        await verify(
          credential(await makeSvid(signer, `${trustDomain}/api`, ownIssuer)),
          policy,
          testNowMillis,
        )
      ).spiffeId,
    status: () => keySets.status().find(({ name }) => name === 'prod.example'),
    close: () => keySets.close(),
  };
}

describe('trust domains of a local agent', () => {
  it('are trusted each under its own keys, over one pair of streams', async () => {
    const { present, status } = openPresenter();
    expect(await present(key, prod)).toBe(`${prod}/api`);
    expect(await present(otherKey, other)).toBe(`${other}/api`);
    await expect(present(otherKey, prod)).rejects.toMatchObject({ reason: 'credential.key_unknown' });
    expect(agent.calls()).toBe(2);
    expect(status()).toMatchObject({ state: 'fresh' });
  });

  it('are revoked at once when a message leaves them out, and the others stay', async () => {
    const { present } = openPresenter();
    expect(await present(key, prod)).toBe(`${prod}/api`);
    agent.publish({ jwt: { [other]: jwks(otherKey) }, x509: {} });
    await vi.waitFor(() =>
      expect(present(key, prod)).rejects.toMatchObject({ reason: 'credential.key_unknown' }),
    );
    expect(await present(otherKey, other)).toBe(`${other}/api`);
    agent.publish(both());
    await vi.waitFor(() => expect(present(key, prod)).resolves.toBe(`${prod}/api`));
  });

  it('take over rotated keys without being asked', async () => {
    const { present } = openPresenter();
    expect(await present(key, prod)).toBe(`${prod}/api`);
    agent.publish({ jwt: { [prod]: jwks(otherKey) }, x509: {} });
    await vi.waitFor(() => expect(present(otherKey, prod)).resolves.toBe(`${prod}/api`));
    await expect(present(key, prod)).rejects.toMatchObject({ reason: 'credential.key_unknown' });
  });

  it('whose keys cannot be read are trusted for nothing, and the others stay', async () => {
    agent.publish({ jwt: { [prod]: 'not JSON', [other]: jwks(otherKey), 'https://x': jwks(key) }, x509: {} });
    const { present } = openPresenter();
    await expect(present(key, prod)).rejects.toMatchObject({ reason: 'credential.key_unknown' });
    expect(await present(otherKey, other)).toBe(`${other}/api`);
  });
});

describe('an agent that is gone', () => {
  it('is borne for the time of grace, and found again when it is back', async () => {
    const { present, status } = openPresenter();
    expect(await present(key, prod)).toBe(`${prod}/api`);
    await agent.stop();
    await vi.waitFor(() => expect(status()?.state).toBe('stale'));
    now += 3599_000;
    expect(await present(key, prod)).toBe(`${prod}/api`);
    now += 1_000;
    await expect(present(key, prod)).rejects.toMatchObject({
      reason: 'credential.keys_unavailable',
      detail: 'TrustDomain prod.example: the Workload API was lost too long ago',
    });
    agent.publish({ jwt: { [prod]: jwks(otherKey) }, x509: {} });
    await agent.start();
    await vi.waitFor(() => expect(status()?.state).toBe('fresh'), 10_000);
    expect(await present(otherKey, prod)).toBe(`${prod}/api`);
  });

  it('over a restart of ours too, but no longer than the time of grace', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mintmark-last-good-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const cache = await openFileKeyCache(folder, { now: () => now });
    const lastGoodOf = openLastGoods(cache, new Secret(new Uint8Array(32).fill(7)));
    const before = openPresenter({ lastGoodOf });
    expect(await before.present(key, prod)).toBe(`${prod}/api`);
    const kept = async () => (await readdir(folder)).filter((file) => !file.endsWith('.tmp'));
    await vi.waitFor(async () => expect(await kept()).toHaveLength(2));
    before.close();
    await agent.stop();

    const after = openPresenter({ lastGoodOf });
    expect(await after.present(key, prod)).toBe(`${prod}/api`);
    expect(await after.present(otherKey, other)).toBe(`${other}/api`);
    expect(after.status()?.state).toBe('stale');
    now += 3600_000;
    await expect(after.present(key, prod)).rejects.toMatchObject({ reason: 'credential.keys_unavailable' });

    // What the agent withdraws while we are away does not come back.
    agent.publish({ jwt: { [other]: jwks(otherKey) }, x509: {} });
    await agent.start();
    const told = openPresenter({ lastGoodOf });
    await vi.waitFor(() => expect(told.status()?.state).toBe('fresh'), 10_000);
    await expect(told.present(key, prod)).rejects.toMatchObject({ reason: 'credential.key_unknown' });
  });

  it('from the start leaves its trust domains unavailable', async () => {
    await agent.stop();
    const { present, status } = openPresenter();
    await expect(present(key, prod)).rejects.toMatchObject({ reason: 'credential.keys_unavailable' });
    expect(status()?.state).toBe('unavailable');
  });
});

describe('an agent that refuses', () => {
  it.each([
    ['again', 'PERMISSION_DENIED', status.PERMISSION_DENIED],
    ['again', 'UNAVAILABLE', status.UNAVAILABLE],
  ])('is asked %s after %s', async (_again, _name, code) => {
    agent.refuseWith(code);
    const { present } = openPresenter();
    await vi.waitFor(() => expect(agent.calls()).toBeGreaterThanOrEqual(6), 5000);
    agent.refuseWith(undefined);
    await vi.waitFor(() => expect(present(key, prod)).resolves.toBe(`${prod}/api`), 5000);
  });

  it('is not asked again after INVALID_ARGUMENT', async () => {
    agent.refuseWith(status.INVALID_ARGUMENT);
    const { present } = openPresenter();
    await expect(present(key, prod)).rejects.toMatchObject({ reason: 'credential.keys_unavailable' });
    await vi.waitFor(() => expect(agent.calls()).toBe(2));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(agent.calls()).toBe(2);
  });
});

it('the bundle of a trust domain holds its roots of X.509-SVIDs too', async () => {
  const second = await makeSpiffeAuthority('prod.example');
  agent.publish({ jwt: {}, x509: { [prod]: Buffer.concat([authority.rootDer, second.rootDer]) } });
  const states: BundleState[] = [];
  const stop = openWorkloadApi()(agent.socket, (state) => states.push(state));
  onTestFinished(stop);
  await vi.waitFor(() => expect(states.at(-1)?.isLive).toBe(true));
  const { keys } = JSON.parse(states.at(-1)?.bundles?.get('prod.example') ?? '{}');
  expect(keys).toEqual([authority.rootJwk, second.rootJwk].map((jwk) => expect.objectContaining(jwk)));
  const keySets = openKeySets({
    fetchDocument: () => Promise.reject(new Error('nothing is to be fetched')),
    watchBundles: openWorkloadApi(),
    clock: { now: () => now },
  });
  onTestFinished(() => keySets.close());
  const { roots } = await keySets.bundleFor(domainOf('prod.example')).keys();
  expect(roots?.map(({ der }) => der)).toEqual([authority.rootDer, second.rootDer]);
});
