/** `mintmark init`: what it writes for each platform is a valid policy whose tests pass. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { platforms } from '../../../src/credentials/platforms/index.ts';
import { runCli } from '../../http/admin/run-cli.ts';
import { makeRegionSigner } from '../../support/instance-documents.ts';
import { githubClaims, kubernetesClaims, makeKey, signToken, type TestKey } from '../../support/tokens.ts';

let folder: string;
let path: string;
let key: TestKey;
let count = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mintmark-init-'));
  key = await makeKey('sample', 'RS256');
});
beforeEach(() => {
  path = join(folder, `policy-${count++}.yaml`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const issuer = 'https://sts.example';
const init = (...args: readonly string[]) =>
  runCli(['init', '-f', path, '--issuer', issuer, '--trust-domain', 'mint.example', ...args]);
const check = (command: string) =>
  runCli([command, '-f', path, '--issuer', issuer, '--trust-domain', 'mint.example', '--json']);
const written = () =>
  parseAllDocuments(readFileSync(path, 'utf8')).map((document) => document.toJS() as Record<string, unknown>);
const specOf = (kind: string) => written().find((document) => document.kind === kind)?.spec;

async function expectWhole(): Promise<void> {
  const valid = await check('validate');
  expect(valid).toMatchObject({ exitCode: 0 });
  expect(JSON.parse(valid.out)).toMatchObject({ valid: true, documents: 3, tests: 1 });
  const tested = await check('test');
  expect(JSON.parse(tested.out)).toMatchObject({
    passed: 2,
    failed: 0,
    coverage: { percent: 100 },
    cases: [
      { grants: [{ contributes: true }] },
      { grants: [], reason: expect.stringMatching(/^credential\./) },
    ],
  });
}

describe('init', () => {
  it.each(platforms.filter(({ proof }) => proof?.regionCertificates === undefined))(
    'writes a whole policy for $name',
    async ({ name, tenantClaims, isSharedIssuer }) => {
      const result = await init('--platform', name);
      expect(result).toMatchObject({ exitCode: 0 });
      expect(result.out).toMatch(
        /^wrote .+\n3 documents and 1 policy test: valid\n(✓ .+\n){2}2 passed, 0 failed\n$/,
      );
      const spec = specOf('Issuer') as { issuer: string; require: Record<string, string> };
      expect(Object.keys(spec.require)).toHaveLength(1);
      if (isSharedIssuer(spec.issuer)) expect(tenantClaims).toContain(Object.keys(spec.require)[0]);
    },
  );

  it('writes one for aws-instance-identity with the certificate of a region, and none without', async () => {
    const without = await init('--platform', 'aws-instance-identity');
    expect(without).toMatchObject({ exitCode: 2, out: '' });
    expect(without.err).toContain('needs --region-certificate region=FILE');
    const pem = join(folder, 'region.pem');
    writeFileSync(pem, makeRegionSigner().certificate);
    const result = await init(
      '--platform',
      'aws-instance-identity',
      '--region-certificate',
      `eu-central-1=${pem}`,
    );
    expect(result.err).not.toContain('mintmark:');
    expect(result.exitCode).toBe(0);
    await expectWhole();
  });

  it('overwrites nothing', async () => {
    writeFileSync(path, 'mine');
    const result = await init('--platform', 'github-actions');
    expect(result).toMatchObject({ exitCode: 1, out: '' });
    expect(result.err).toContain('is there already: nothing was written');
    expect(readFileSync(path, 'utf8')).toBe('mine');
  });

  it('ends with 2 for a platform that there is not', async () => {
    const result = await init('--platform', 'github-action');
    expect(result).toMatchObject({ exitCode: 2, out: '' });
    expect(result.err).toContain('there is no platform github-action');
    expect(result.err).toContain('github-actions');
  });
});

describe('init with a sample token', () => {
  async function initWith(platform: string, claims: Record<string, unknown>) {
    const token = await signToken(key, claims);
    const sample = join(folder, 'sample');
    writeFileSync(sample, token);
    const result = await init('--platform', platform, '--token', sample);
    expect(result.out + result.err).not.toContain(token.split('.')[2]);
    return { ...result, token };
  }

  it('fills in its issuer and ids, and writes neither the token nor what nobody needs', async () => {
    const { exitCode, err, token } = await initWith(
      'github-actions',
      githubClaims(issuer, { repository_owner_id: '4242', repository_id: '77', actor: 'somebody' }),
    );
    expect([exitCode, err]).toEqual([0, '']);
    await expectWhole();
    expect(specOf('Issuer')).toMatchObject({
      issuer: 'https://token.actions.githubusercontent.com',
      require: { repository_owner_id: '4242' },
    });
    expect(specOf('Grant')).toMatchObject({
      subjects: [{ spiffeId: 'spiffe://mint.example/github-actions/owner/4242/repo/77' }],
    });
    const text = readFileSync(path, 'utf8');
    for (const absent of ['somebody', 'jti', ...token.split('.')]) expect(text).not.toContain(absent);
  });

  it('takes the issuer of a cluster, and says that the sample is for somebody else', async () => {
    const { exitCode, err } = await initWith(
      'kubernetes',
      kubernetesClaims('https://oidc.mine.example', 'https://kubernetes.default.svc'),
    );
    expect([exitCode, err]).toEqual([
      0,
      `warning: the sample is not for ${issuer}: workloads must ask for one that is\n`,
    ]);
    expect(specOf('Issuer')).toEqual({
      platform: 'kubernetes',
      issuer: 'https://oidc.mine.example',
      require: { 'kubernetes.io.namespace': 'payments' },
    });
  });

  it('writes nothing from a token that the platform does not issue, nor from what is no token', async () => {
    const pullRequest = await initWith(
      'github-actions',
      githubClaims(issuer, { event_name: 'pull_request_target' }),
    );
    expect(pullRequest).toMatchObject({ exitCode: 1, out: '' });
    expect(pullRequest.err).toContain(
      'credential.platform_refused: github-actions: event_name is pull_request_target',
    );
    const wrong = await runCli(['init', '-f', path, '--platform', 'github-actions', '--token', '-'], {
      input: 'x',
    });
    expect(wrong).toMatchObject({ exitCode: 2, out: '' });
    expect(() => readFileSync(path)).toThrow('ENOENT');
  });
});
