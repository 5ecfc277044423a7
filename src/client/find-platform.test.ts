/** Platforms that a test cannot make with a variable alone: a file, a socket or an address that is at a fixed place. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { makeSurroundings } from '../../test/support/surroundings.ts';
import { postToSocket } from '../cli/machine.ts';
import { findPlatform } from './find-platform.ts';

const inPod = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };
const linkLocal = 'http://169.254.169.254';
const googleProbe = `${linkLocal}/`;
const azureProbe = `${linkLocal}/metadata/versions`;
const awsProbe = `${linkLocal}/latest/api/token`;
const isGoogle = () => new Response('', { headers: { 'metadata-flavor': 'Google' } });
const isAzure = () => Response.json({ apiVersions: ['2018-02-01'] });

describe('findPlatform', () => {
  test('takes a pod with a projected token, and reads it', async () => {
    const files = { '/var/run/mintmark/token': 'a.b.c\n' };
    const { made, urls } = makeSurroundings({ environment: inPod, files });
    const found = await findPlatform(made, 'auto');
    expect(found.platform).toBe('kubernetes');
    expect(await found.obtain(made, 'https://sts.test')).toBe('a.b.c');
    expect(urls).toEqual([]);
  });

  test('never offers the token that every pod has for the API server', async () => {
    const files = { '/var/run/secrets/kubernetes.io/serviceaccount/token': 'a.b.c' };
    const { made } = makeSurroundings({ environment: inPod, files });
    await expect(findPlatform(made, 'auto')).rejects.toThrow('no platform was found');
  });

  test("takes Nomad's file before its variable, which is not renewed", async () => {
    const environment = { NOMAD_SECRETS_DIR: '/secrets' };
    const files = { '/secrets/nomad_mintmark.jwt': 'a.b.new\n' };
    const { made } = makeSurroundings({ environment, files });
    const found = await findPlatform(made, 'auto');
    expect(found.platform).toBe('nomad');
    const both = makeSurroundings({
      environment: { ...environment, NOMAD_TOKEN_mintmark: 'a.b.old' },
      files,
    });
    expect(await found.obtain(both.made, 'https://sts.test')).toBe('a.b.new');
    const without = makeSurroundings({ environment });
    await expect(found.obtain(without.made, 'https://sts.test')).rejects.toThrow('holds no credential');
    await expect(findPlatform(without.made, 'auto')).rejects.toThrow('no platform was found');
  });
});

test('looks in the order that docs/token-command.md says', async () => {
  const page = readFileSync(new URL('../../docs/token-command.md', import.meta.url), 'utf8');
  const documented = [...page.matchAll(/^\| `([a-z-]+)` \|/gm)].map((match) => match[1]);
  const failure = await findPlatform(makeSurroundings().made, 'auto').catch(String);
  const looked = [...String(failure).matchAll(/^ {2}([a-z-]+): /gm)].map((match) => match[1]);
  expect(looked.length).toBeGreaterThan(10);
  expect(documented).toEqual(looked);
});

describe('vercel', () => {
  const environment = { VERCEL_OIDC_TOKEN: 'a.b.theirs' };
  const exchange = 'https://oidc.vercel.com/~token';

  test('exchanges the token of the environment, which is for Vercel, for one that is for us', async () => {
    const asked: unknown[] = [];
    const { made } = makeSurroundings({
      environment,
      fetch: async (...request) => {
        asked.push(request);
        return Response.json({ token: 'a.b.ours' });
      },
    });
    const found = await findPlatform(made, 'auto');
    expect(found.platform).toBe('vercel');
    expect(await found.obtain(made, 'https://sts.test')).toBe('a.b.ours');
    const body = JSON.stringify({ token: 'a.b.theirs', aud: 'https://sts.test' });
    expect(asked).toMatchObject([[exchange, { method: 'POST', redirect: 'error', body }]]);
  });

  test.each<[string, () => Response, string]>([
    ['an error', () => new Response('a.b.theirs', { status: 400 }), 'answered 400'],
    ['no token', () => Response.json({ canary: 'a.b.theirs' }), 'holds no credential'],
    ['a page', () => new Response('<html>a.b.theirs'), 'did not answer with a JSON object'],
  ])('says %s of the exchange, and shows no token', async (_what, answer, message) => {
    const { made } = makeSurroundings({ environment, answers: { [exchange]: answer } });
    const found = await findPlatform(made, 'vercel');
    const failure = await found.obtain(made, 'https://sts.test').catch(String);
    expect(failure).toContain(message);
    expect(failure).not.toContain('theirs');
  });

  test('asks nobody without a token', async () => {
    const { made, urls } = makeSurroundings();
    const found = await findPlatform(made, 'vercel');
    await expect(found.obtain(made, 'https://sts.test')).rejects.toThrow(
      'VERCEL_OIDC_TOKEN holds no credential',
    );
    expect(urls).toEqual([]);
  });
});

describe('the network', () => {
  test.each([
    ['google', { [googleProbe]: isGoogle }],
    ['azure', { [azureProbe]: isAzure }],
    ['aws-caller-identity', { [awsProbe]: () => new Response('session==') }],
    ['google', { [googleProbe]: isGoogle, [azureProbe]: isAzure }],
  ])('is asked last, and finds %s', async (platform, answers) => {
    const { made, urls } = makeSurroundings({ answers });
    expect((await findPlatform(made, 'auto')).platform).toBe(platform);
    expect(urls).toEqual([googleProbe, azureProbe, awsProbe]);
  });

  test.each<[string, Record<string, () => Response>]>([
    ['a page without the header', { [googleProbe]: () => new Response('<html>') }],
    ['another JSON', { [azureProbe]: () => Response.json({ apiVersions: 'all' }) }],
    ['a page with spaces', { [awsProbe]: () => new Response('not a session') }],
    ['an error', { [awsProbe]: () => new Response('session', { status: 403 }) }],
  ])('is not believed where it answers with %s', async (_what, answers) => {
    const { made, urls } = makeSurroundings({ answers });
    await expect(findPlatform(made, 'auto')).rejects.toThrow('no platform was found');
    expect(urls).toHaveLength(3);
  });

  test('may be silent, and costs a second in all', async () => {
    const silent: typeof fetch = (_url, { signal } = {}) =>
      new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
    const startMillis = performance.now();
    const { made } = makeSurroundings({ fetch: silent });
    await expect(findPlatform(made, 'auto')).rejects.toThrow('no platform was found');
    expect(performance.now() - startMillis).toBeLessThan(2_800); // three in a row take three seconds
  });
});

describe('fly', () => {
  const environment = { FLY_MACHINE_ID: '4d89' };

  async function machineWith(answer: { status: number; body: string }) {
    const folder = mkdtempSync(join(tmpdir(), 'mintmark-fly-'));
    const asked: unknown[] = [];
    const server = createServer(async (request, response) => {
      const { method, url, headers } = request;
      asked.push({ method, url, type: headers['content-type'], body: JSON.parse(await text(request)) });
      response.writeHead(answer.status).end(answer.body);
    });
    await new Promise<void>((resolve) => server.listen(join(folder, 'api'), resolve));
    onTestFinished(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    });
    const { made } = makeSurroundings({
      environment,
      postToSocket: (path, ...rest) => postToSocket(path.replace('/.fly', folder), ...rest),
    });
    return { made, asked };
  }

  test('asks over its socket, for whom the token is', async () => {
    const { made, asked } = await machineWith({ status: 200, body: 'a.b.c' });
    const found = await findPlatform(made, 'auto');
    expect(found.platform).toBe('fly');
    expect(await found.obtain(made, 'https://sts.test')).toBe('a.b.c');
    expect(asked).toEqual([
      {
        method: 'POST',
        url: '/v1/tokens/oidc',
        type: 'application/json',
        body: { aud: 'https://sts.test' },
      },
    ]);
  });

  test.each([
    [500, 'canary', '/.fly/api answered 500'],
    [200, 'canary page', '/.fly/api holds no credential'],
  ])('says %i, without what it says', async (status, body, message) => {
    const { made } = await machineWith({ status, body });
    const found = await findPlatform(made, 'fly');
    const failure = await found.obtain(made, 'https://sts.test').catch(String);
    expect(failure).toContain(message);
    expect(failure).not.toContain('canary');
  });

  test('says that the socket is not there', async () => {
    const { made } = makeSurroundings({ environment, postToSocket });
    const found = await findPlatform(made, 'auto');
    await expect(found.obtain(made, 'https://sts.test')).rejects.toThrow('/.fly/api cannot be reached');
  });
});
