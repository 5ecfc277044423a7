/** Our bundle in the profile https_spiffe: a real Mintmark that authenticates the endpoint by its X.509-SVID, and renewed files. */
import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openLogger } from '../../../src/adapters/log/logger.ts';
import type { BundleRoots } from '../../../src/core/spiffe-bundle.ts';
import { openSpiffeEndpoint } from '../../../src/spiffe-endpoint.ts';
import { readSpiffeEndpoint } from '../../../src/spiffe-endpoint-files.ts';
import { openHouse, postForm, type TestHouse } from '../../support/house.ts';
import { makeSpiffeAuthority, type SpiffeAuthority } from '../../support/spiffe-authority.ts';
import { testNowMillis } from '../../support/tokens.ts';
import { tellStory } from './story.ts';

const consumerIssuer = 'https://consumer.test';
const api = 'spiffe://mintmark.test/cluster/ns/payments/sa/api';
const endpointId = 'spiffe://mintmark.test/bundle-endpoint';
const type = (name: string) => `urn:ietf:params:oauth:token-type:${name}`;
const folder = mkdtempSync(join(tmpdir(), 'mintmark-spiffe-endpoint-'));
const paths = {
  certificatePath: join(folder, 'cert.pem'),
  keyPath: join(folder, 'key.pem'),
  rootsPath: join(folder, 'roots.pem'),
};

const document = (kind: string, name: string, spec: object) => ({
  apiVersion: 'mintmark/v1',
  kind,
  metadata: { name },
  spec,
});

/** Whole or not at all, as a mounted secret is swapped. */
function write(path: string, text: string, atSeconds?: number): void {
  writeFileSync(`${path}.new`, text);
  if (atSeconds !== undefined) utimesSync(`${path}.new`, atSeconds, atSeconds);
  renameSync(`${path}.new`, path);
}

const rootPem = (...authorities: readonly SpiffeAuthority[]) =>
  authorities
    .map(
      ({ rootDer }) =>
        `-----BEGIN CERTIFICATE-----\n${Buffer.from(rootDer).toString('base64')}\n-----END CERTIFICATE-----\n`,
    )
    .join('');

async function writeSvid(authority: SpiffeAuthority, id = endpointId): Promise<void> {
  const { cert, key } = await authority.issue(id);
  write(paths.keyPath, key);
  write(paths.certificatePath, cert);
}

let authority: SpiffeAuthority;
let other: SpiffeAuthority;
beforeAll(async () => {
  [authority, other] = await Promise.all([
    makeSpiffeAuthority('mintmark.test'),
    makeSpiffeAuthority('mintmark.test'),
  ]);
  await writeSvid(authority);
  write(paths.rootsPath, rootPem(authority), 1_000);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('another Mintmark', () => {
  let minter: TestHouse;
  let port: string;
  let story: Awaited<ReturnType<typeof tellStory>>;
  beforeAll(async () => {
    story = await tellStory();
    minter = await openHouse(
      [
        ...story.documents,
        document('Resource', 'consumer', { audience: consumerIssuer, tokenFormats: ['jwt-svid'] }),
        document('Grant', 'consumer', { subjects: [{ issuer: 'cluster' }], resource: 'consumer' }),
      ],
      {
        MINTMARK_SPIFFE_BUNDLE_LISTEN: '127.0.0.1:0',
        MINTMARK_SPIFFE_BUNDLE_CERT: paths.certificatePath,
        MINTMARK_SPIFFE_BUNDLE_KEY: paths.keyPath,
        MINTMARK_SPIFFE_BUNDLE_ROOTS: paths.rootsPath,
      },
    );
    port = /https:\/\/127\.0\.0\.1:(\d+)/.exec(minter.log())?.[1] ?? expect.unreachable();
  });
  afterAll(() => minter.close());

  async function openConsumer(root: SpiffeAuthority, endpointSpiffeId = endpointId): Promise<TestHouse> {
    const url = `https://127.0.0.1:${port}/spiffe/bundle.json`;
    const bootstrap = { keys: [root.rootJwk] };
    const house = await openHouse(
      [
        document('TrustDomain', 'mintmark.test', {
          bundle: { url, profile: 'https_spiffe', endpointSpiffeId, bootstrap },
          onStale: { serveFor: '1s' },
        }),
        document('Resource', 'beyond', { audience: 'beyond' }),
        document('Grant', 'beyond', { subjects: [{ spiffeId: api }], resource: 'beyond' }),
      ],
      { MINTMARK_ISSUER: consumerIssuer, MINTMARK_TRUST_DOMAIN: 'consumer.test' },
    );
    onTestFinished(() => house.close());
    return house;
  }
  async function presentTo(consumer: TestHouse) {
    const minted = await postForm(minter.app, {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: await story.platformToken(),
      subject_token_type: type('jwt'),
      requested_token_type: type('jwt'),
      audience: consumerIssuer,
    });
    return await postForm(consumer.app, {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
      client_assertion: minted.json().access_token,
      audience: 'beyond',
    });
  }

  it('takes our JWT-SVIDs by a bundle whose endpoint proves its SPIFFE ID, and later by the roots that it holds', async () => {
    const consumer = await openConsumer(authority);
    expect((await presentTo(consumer)).statusCode).toBe(200);
    for (const house of [minter, consumer]) house.clock.set(testNowMillis + 3_000_000);
    expect((await presentTo(consumer)).statusCode).toBe(200);
    for (const house of [minter, consumer]) house.clock.set(testNowMillis);
  });

  it.each([
    ['a root of somebody else', () => openConsumer(other)],
    ['another SPIFFE ID', () => openConsumer(authority, 'spiffe://mintmark.test/elsewhere')],
  ])('takes none where it expects %s', async (_what, open) => {
    const consumer = await open();
    const response = await presentTo(consumer);
    expect([response.statusCode, response.json().error]).toEqual([503, 'temporarily_unavailable']);
    const event = await consumer.eventOf(response.json().request_id);
    expect(event.reason).toBe('credential.keys_unavailable');
  });

  it('finds the same bundle at both doors, and nothing else behind this one', async () => {
    const open = (path: string) =>
      new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
        get({ host: '127.0.0.1', port, path, rejectUnauthorized: false }, (response) => {
          let body = '';
          response.on('data', (chunk) => {
            body += chunk;
          });
          response.on('end', () => resolve({ status: response.statusCode, body }));
        }).on('error', reject);
      });
    const plain = await minter.app.inject('/spiffe/bundle.json');
    expect(await open('/spiffe/bundle.json')).toEqual({ status: 200, body: plain.body });
    const { keys } = plain.json();
    expect(keys.filter((key: { use: string }) => key.use === 'x509-svid')).toEqual([authority.rootJwk]);
    for (const path of ['/', '/healthz', '/admin/v1/policy', '/.well-known/jwks.json']) {
      expect((await open(path)).status).toBe(404);
    }
  });
});

describe('renewed files', () => {
  async function open() {
    await writeSvid(authority);
    write(paths.rootsPath, rootPem(authority), 1_000);
    const lines: string[] = [];
    const logger = openLogger({
      level: 'info',
      destination: { write: (line: string) => void lines.push(line) },
    });
    const listen = { host: '127.0.0.1', port: 0 };
    const endpoint = readSpiffeEndpoint({ ...paths, listen }, 'mintmark.test', []) ?? expect.unreachable();
    const opened = await openSpiffeEndpoint({
      endpoint,
      trustDomain: 'mintmark.test',
      bundleWith: ({ keys, changedAt }: BundleRoots) => ({
        keys,
        spiffe_sequence: changedAt,
        spiffe_refresh_hint: 300,
      }),
      pollMillis: 10,
      logger,
    });
    onTestFinished(() => opened.close());
    return { bundle: opened.bundle, log: () => lines.join('') };
  }

  it('put other roots into the bundle, and raise its sequence though a clock went back', async () => {
    const { bundle, log } = await open();
    expect(bundle()).toMatchObject({ keys: [authority.rootJwk], spiffe_sequence: 1_000_000 });
    write(paths.rootsPath, rootPem(authority, other), 2_000);
    await vi.waitFor(() => expect(bundle().keys).toEqual([authority.rootJwk, other.rootJwk]));
    expect(bundle().spiffe_sequence).toBe(2_000_000);
    write(paths.rootsPath, 'no roots', 3_000);
    await vi.waitFor(() => expect(log()).toContain('the old ones stay'));
    expect(bundle().keys).toHaveLength(2);
    write(paths.rootsPath, rootPem(other), 500);
    await vi.waitFor(() => expect(bundle().keys).toEqual([other.rootJwk]));
    expect(bundle().spiffe_sequence).toBe(2_000_000);
  });

  it('are not taken where the certificate names another trust domain', async () => {
    const { log } = await open();
    await writeSvid(authority, 'spiffe://elsewhere.test/bundle-endpoint');
    await vi.waitFor(() => expect(log()).toContain('the certificate must have one URI'));
    expect(log()).not.toContain('was renewed');
    await writeSvid(authority);
    await vi.waitFor(() => expect(log()).toContain('was renewed'));
  });
});
