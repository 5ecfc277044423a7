/** The script of `deploy/kubernetes-jwks-push.yaml` itself, by a real shell and curl, from an API server to a real Mintmark. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { type ApiServerDouble, startApiServerDouble } from '../../support/api-server-double.ts';
import { openHouse, type TestHouse, testIssuer } from '../../support/house.ts';
import { makeAuthority } from '../../support/issuer-double-tls.ts';
import { jwksOf, kubernetesClaims, makeKey, signToken, type TestKey } from '../../support/tokens.ts';
import { callAdmin, putPolicy } from './admin-calls.ts';

const named = z.object({ name: z.string(), value: z.string() });
const containerSchema = z.object({
  command: z.array(z.string()),
  args: z.array(z.string()),
  env: z.array(named),
});
const podSchema = z.object({
  serviceAccountName: z.string(),
  containers: z.tuple([containerSchema]),
});
const cronJobSchema = z.object({
  kind: z.literal('CronJob'),
  metadata: z.object({ namespace: z.string() }),
  spec: z.object({
    jobTemplate: z.object({ spec: z.object({ template: z.object({ spec: podSchema }) }) }),
  }),
});

const manifest = new URL('../../../deploy/kubernetes-jwks-push.yaml', import.meta.url);
const documents = parseAllDocuments(readFileSync(manifest, 'utf8')).map((document) => document.toJS());
const cronJob = cronJobSchema.parse(documents.find(({ kind }) => kind === 'CronJob'));
const { serviceAccountName: account, containers } = cronJob.spec.jobTemplate.spec.template.spec;
const [container] = containers;
const { namespace } = cronJob.metadata;

const issuerUrl = 'https://kubernetes.default.svc.cluster.local';
let house: TestHouse;
let mintmarkUrl: string;
let server: ApiServerDouble;
let next: TestKey;
let files: string;
let otherCertificate: string;
beforeAll(async () => {
  files = mkdtempSync(join(tmpdir(), 'mintmark-jwks-push-'));
  [house, server, next] = await Promise.all([
    openHouse([]),
    startApiServerDouble(issuerUrl),
    makeKey('sa-key-2', 'RS256'),
  ]);
  otherCertificate = (await makeAuthority()).certificate;
  mintmarkUrl = await house.app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  rmSync(files, { recursive: true, force: true });
  await Promise.all([house.close(), server.close()]);
});
beforeEach(async () => {
  server.published.splice(0, Number.POSITIVE_INFINITY, server.key);
  writeFileSync(join(files, 'ca.crt'), server.caCertificate);
  writeFileSync(join(files, 'cluster-token'), server.discoveryToken);
  writeFileSync(join(files, 'mintmark-token'), await ownToken(server.key));
  const keys = { jwks: jwksOf(server.key), pushedBy: `/prod-cluster/ns/${namespace}/sa/${account}` };
  const spec = { platform: 'kubernetes', issuer: issuerUrl, keys };
  const document = { apiVersion: 'mintmark/v1', kind: 'Issuer', metadata: { name: 'prod-cluster' }, spec };
  expect((await putPolicy(house.app, [document])).statusCode).toBe(200);
});

/** What the kubelet projects for the CronJob's pod. */
function ownToken(key: TestKey): Promise<string> {
  const sub = `system:serviceaccount:${namespace}:${account}`;
  const details = { namespace, serviceaccount: { name: account, uid: 'u-1' } };
  return signToken(key, kubernetesClaims(issuerUrl, testIssuer, { sub, 'kubernetes.io': details }));
}

/** Runs the container's own command with its own environment, but for where things are. */
async function run() {
  const [program = '', ...options] = [...container.command, ...container.args];
  const declared = Object.fromEntries(container.env.map(({ name, value }) => [name, value]));
  const here = { MINTMARK_URL: mintmarkUrl, API_SERVER: server.url, FILES: files };
  expect(Object.keys(declared)).toEqual(expect.arrayContaining(Object.keys(here)));
  const env = { PATH: process.env.PATH ?? '', ...declared, ...here };
  const child = spawn(program, options, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [exitCode, out, err] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { exitCode, out, err };
}

const kidsInForce = async () => {
  const { spec } = (await callAdmin(house.app, '/issuers/prod-cluster')).json();
  return spec.keys.jwks.keys.map(({ kid }: { kid: string }) => kid);
};

it('carries a rotation through: both keys, then the new one alone', async () => {
  server.published.push(next);
  const first = await run();
  expect(first).toMatchObject({ exitCode: 0, err: '' });
  expect(JSON.parse(first.out)).toMatchObject({ changed: true });
  expect(await kidsInForce()).toEqual(['sa-key', 'sa-key-2']);

  server.published.shift();
  writeFileSync(join(files, 'mintmark-token'), await ownToken(next));
  expect(await run()).toMatchObject({ exitCode: 0, err: '' });
  expect(await kidsInForce()).toEqual(['sa-key-2']);
});

it('changes nothing where nothing changed', async () => {
  expect((await run()).exitCode).toBe(0);
  const again = await run();
  expect([again.exitCode, JSON.parse(again.out).changed]).toEqual([0, false]);
});

it('fails, and says why, where Mintmark refuses', async () => {
  server.published.splice(0, 1, next);
  const { exitCode, out } = await run();
  expect(exitCode).not.toBe(0);
  expect(JSON.parse(out)).toMatchObject({ type: 'urn:mintmark:problem:policy-refused' });
  expect(out).toContain('still hold the key that signed');
  expect(await kidsInForce()).toEqual(['sa-key']);
});

it.each([
  ['may not be read', () => writeFileSync(join(files, 'cluster-token'), server.otherToken)],
  ['come from a server of another authority', () => writeFileSync(join(files, 'ca.crt'), otherCertificate)],
  ['cannot be asked for: no token', () => rmSync(join(files, 'cluster-token'))],
])('pushes nothing where the keys %s', async (_name, spoil) => {
  server.published.push(next);
  spoil();
  const { exitCode, out, err } = await run();
  expect(exitCode).not.toBe(0);
  expect(err).not.toBe('');
  expect(out + err).not.toContain(server.otherToken);
  expect(await kidsInForce()).toEqual(['sa-key']);
});
