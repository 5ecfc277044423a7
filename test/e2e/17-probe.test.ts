/** `mintmark probe`, as a process, against a real server: alone, and behind a proxy that breaks one thing at a time. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { program, runCli } from '../http/admin/run-cli.ts';
import { type AlteringProxy, type Answer, startAlteringProxy } from '../support/altering-proxy.ts';
import { newAddress } from '../support/house.ts';
import type { IssuerDouble } from '../support/issuer-double.ts';
import { makeAuthority, startTlsIssuerDouble, type TestAuthority } from '../support/issuer-double-tls.ts';
import { eventually, freePort } from '../support/processes.ts';
import { type RunningServer, startServer } from '../support/server.ts';
import { functionId, lifetime, policyOf, startWorld, type World } from '../support/story.ts';

let world: World;
let proxy: AlteringProxy;
let server: RunningServer;
let folder: string;
let credentialFile: string;
let credential: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mintmark-probe-'));
  credentialFile = join(folder, 'token');
  [world, proxy] = await Promise.all([startWorld(), startAlteringProxy()]);
  server = await startServer({
    policy: () => policyOf(world),
    environment: { MINTMARK_ISSUER: proxy.url, MINTMARK_TRUSTED_PROXIES: '127.0.0.1' },
  });
  proxy.target = server.url;
});
afterAll(async () => {
  await server?.remove();
  await proxy?.close();
  await world?.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  proxy.alter = undefined;
  proxy.clientAddress = newAddress();
  credential = await world.platformToken(proxy.url);
  writeFileSync(credentialFile, `${credential}\n`);
});

interface Check {
  readonly check: string;
  readonly passed: boolean;
  readonly detail: string;
}

const byFlags = () => ['--credential-file', credentialFile, '--audience', 'alpha', '--scope', 'alpha'];
const run = (...args: readonly string[]) =>
  runCli(['probe', ...args], { environment: { MINTMARK_URL: proxy.url } });

async function runJson(...args: readonly string[]) {
  const result = await run('--json', ...args);
  const report = JSON.parse(result.out) as { passed: number; failed: number; checks: Check[] };
  const failed = report.checks.filter(({ passed }) => !passed);
  return { ...result, report, failed: failed.map(({ check, detail }) => `${check}: ${detail}`) };
}

describe('a deployment that is well', () => {
  test('passes every check, with and without a credential', async () => {
    const { exitCode, err, report, failed } = await runJson(...byFlags(), '--expect', `sub=${functionId}`);
    expect([exitCode, err, failed]).toEqual([0, '', []]);
    const details = Object.fromEntries(report.checks.map(({ check, detail }) => [check, detail]));
    expect(details).toEqual({
      ready: 'ready',
      clock: '0.0 s from ours',
      discovery: 'both documents agree',
      keys: expect.stringMatching(/^\d published$/),
      exchange: `a token for ${functionId}`,
      'an unsigned token': 'refused, invalid_token',
      'a token of an unknown key': 'refused, invalid_token',
      'the same as an assertion': 'refused, invalid_grant',
      'an expired token': 'refused, invalid_token',
      'a token for another': 'refused, invalid_token',
      'no credential': 'refused, invalid_token',
      'parameters in the query': 'refused, invalid_request',
      'two targets': 'refused, invalid_target',
      'a client secret': 'refused, invalid_client',
      'an unknown grant type': 'refused, unsupported_grant_type',
      'exchange: a changed signature': 'refused, invalid_token',
      'exchange: our own token as a credential': 'refused, invalid_token',
      'exchange: an unknown resource': 'refused, invalid_target',
      'exchange: a scope that is not granted': 'refused, invalid_scope',
    });
    const bare = await run();
    expect(bare).toMatchObject({ exitCode: 0, err: '' });
    expect(bare.out).toMatch(/^✓ ready: ready\n(✓ .+\n){13}14 passed, 0 failed\n$/);
  });

  test('several exchanges by a file, of which one must be refused', async () => {
    const expired = join(folder, 'expired');
    const { iat } = lifetime(0);
    writeFileSync(expired, await world.platformToken(proxy.url, { iat: iat - 7200, exp: iat - 3600 }));
    const config = join(folder, 'probe.yaml');
    writeFileSync(
      config,
      `exchanges:
  - { name: api, credentialFile: ${credentialFile}, audience: alpha, expect: { aud: alpha } }
  - { name: an old token, credentialFile: ${expired}, audience: alpha, refused: invalid_token }
`,
    );
    const well = await runJson('--config', config);
    expect([well.exitCode, well.failed]).toEqual([0, []]);
    expect(well.report.checks).toContainEqual(
      expect.objectContaining({ check: 'an old token', detail: 'refused, invalid_token' }),
    );
    // The control: the same token while it is good.
    writeFileSync(expired, credential);
    const accepted = await runJson('--config', config);
    expect([accepted.exitCode, accepted.failed]).toEqual([
      1,
      ['an old token: WAS ACCEPTED, with status 200'],
    ]);
  });

  test('metrics for a textfile collector, written whole', async () => {
    const path = join(folder, 'mintmark.prom');
    expect(await run(...byFlags(), '--metrics', path)).toMatchObject({ exitCode: 0 });
    const text = readFileSync(path, 'utf8');
    expect(text).toMatch(
      /^# HELP mintmark_probe_success .+\n# TYPE mintmark_probe_success gauge\nmintmark_probe_success 1\n/,
    );
    expect(text).toContain('mintmark_probe_check_success{check="an expired token"} 1\n');
    expect(text).toMatch(/^mintmark_probe_check_duration_seconds\{check="exchange"\} [0-9.]+$/m);
    expect(text).toMatch(/^mintmark_probe_last_run_timestamp_seconds \d{10}$/m);
    proxy.alter = (_request, answer) => {
      answer.headers.date = 'Thu, 01 Jan 2026 00:00:00 GMT';
    };
    expect(await run('--metrics', path)).toMatchObject({ exitCode: 1 });
    const later = readFileSync(path, 'utf8');
    expect(later).toContain('\nmintmark_probe_success 0\n');
    expect(later).toMatch(/^mintmark_probe_clock_skew_seconds -\d+/m);
    expect(await run('--metrics', join(folder, 'none', 'x.prom'))).toMatchObject({ exitCode: 2 });
  });

  test('goes on until a signal with --interval', async () => {
    const path = join(folder, 'loop.prom');
    const child = spawn(process.execPath, [program, 'probe', '--interval', '15', '--metrics', path], {
      env: { PATH: process.env.PATH ?? '', MINTMARK_URL: proxy.url },
      stdio: 'ignore',
    });
    try {
      await eventually(async () => expect(readFileSync(path, 'utf8')).toContain('mintmark_probe_success 1'));
      expect(child.exitCode).toBeNull();
    } finally {
      child.kill('SIGKILL');
    }
  });
});

const edit = (answer: Answer, change: (body: Record<string, unknown>) => void) => {
  const body = JSON.parse(answer.body);
  change(body);
  answer.body = JSON.stringify(body);
};
const jwks = '/.well-known/jwks.json';
const editKeys = (change: (key: Record<string, unknown>) => void) => (path: string, answer: Answer) => {
  if (path === jwks && answer.status === 200)
    edit(answer, ({ keys }) => (keys as Record<string, unknown>[]).forEach(change));
};

describe.each<[string, (path: string, answer: Answer, body: string) => void, string]>([
  [
    'is not ready',
    (path, answer) => {
      if (path !== '/readyz') return;
      answer.status = 503;
      answer.body = JSON.stringify({ status: 'not ready', checks: { database: 'unavailable' } });
    },
    'ready: not ready, database unavailable',
  ],
  [
    'names another issuer',
    (path, answer) => {
      if (path.endsWith('oauth-authorization-server'))
        edit(answer, (body) => (body.issuer = 'https://other.test'));
    },
    'discovery: the issuer is https://other.test, not URL',
  ],
  [
    'sends verifiers to other keys',
    (path, answer) => {
      if (path.startsWith('/.well-known/o'))
        edit(answer, (body) => (body.jwks_uri = 'https://other.test/jwks'));
    },
    'discovery: jwks_uri is not below the issuer: https://other.test/jwks',
  ],
  [
    'says two things in two documents',
    (path, answer) => {
      if (path.endsWith('openid-configuration')) edit(answer, (body) => (body.grant_types_supported = []));
    },
    'discovery: the two documents differ in grant_types_supported',
  ],
  [
    'publishes a private key',
    editKeys((key) => (key.d = 'AA')),
    'keys: A PRIVATE KEY IS PUBLISHED: revoke it',
  ],
  [
    'lets nobody keep its keys',
    (path, answer) => {
      if (path === jwks) answer.headers['cache-control'] = 'no-store';
    },
    'keys: cannot be cached for a bounded time: cache-control is "no-store"',
  ],
  [
    'lets its keys be kept for a year',
    (path, answer) => {
      if (path === jwks) answer.headers['cache-control'] = 'public, max-age=31536000';
    },
    'keys: cannot be cached for a bounded time: cache-control is "public, max-age=31536000"',
  ],
  [
    'publishes keys that do not verify its tokens',
    editKeys((key) => (key.kid = `other-${key.kid}`)),
    'exchange: a resource server would refuse the token (ERR_JWKS_NO_MATCHING_KEY)',
  ],
  [
    'gives a token that may be cached',
    (_path, answer) => {
      if (answer.body.includes('access_token')) delete answer.headers['cache-control'];
    },
    'exchange: the answer with the token is not cache-control: no-store (RFC 6749 §5.1)',
  ],
  [
    'accepts what has no credential',
    (path, answer, body) => {
      if (path === '/api/v1/token' && body === '{}' && answer.status === 401) {
        answer.status = 200;
        answer.body = '{"access_token":"a.b.c","token_type":"Bearer"}';
      }
    },
    'no credential: WAS ACCEPTED, with status 200',
  ],
  [
    'refuses a scope with another code',
    (_path, answer) => {
      if (answer.body.includes('"invalid_scope"')) edit(answer, (body) => (body.error = 'server_error'));
    },
    'exchange: a scope that is not granted: refused with server_error, not with invalid_scope: mintmark why ID',
  ],
])('a deployment that %s', (_name, alter, finding) => {
  test('fails that check and ends with 1, and no token is shown', async () => {
    const tokens: string[] = [credential];
    proxy.alter = ({ path, body }, answer) => {
      const token = /"access_token":"([^"]+)"/.exec(answer.body)?.[1];
      if (token !== undefined && token !== 'a.b.c') tokens.push(token);
      alter(path, answer, body);
    };
    const { exitCode, out, err, failed } = await runJson(...byFlags());
    expect(exitCode).toBe(1);
    const said = failed.map((line) => line.replace(proxy.url, 'URL').replace(/[0-9a-f-]{36}$/, 'ID'));
    expect(said).toContain(finding);
    expect(tokens.length).toBeGreaterThan(1);
    for (const token of tokens) expect(out + err).not.toContain(token.split('.')[2]);
  });
});

describe('a probe that cannot be run', () => {
  test.each([
    [['--interval', '1'], '--interval takes a whole number of seconds from 15, not 1'],
    [['--audience', 'alpha'], 'give one of credentialFile and platform'],
    [['--config', '/nowhere'], 'the configuration cannot be read: /nowhere'],
    [['--config', '/dev/null', '--audience', 'alpha'], '--config names the exchanges'],
    [['--expect', 'sub'], '--expect takes claim=value'],
  ])('%s ends with 2', async (args, message) => {
    const result = await run(...args);
    expect(result).toMatchObject({ exitCode: 2, out: '' });
    expect(result.err).toContain(message);
  });

  test('a token with other claims than expected ends with 1', async () => {
    const { exitCode, failed } = await runJson(...byFlags(), '--expect', 'sub=spiffe://other.test/x');
    expect([exitCode, failed]).toEqual([1, ['exchange: the token has other claims than expected: sub']]);
  });

  test('the cap on refusals of one address is told apart from a wrong refusal', async () => {
    const refused = () => fetch(`${proxy.url}/api/v1/token`, { method: 'POST' });
    await Promise.all(Array.from({ length: 130 }, refused));
    const { exitCode, failed } = await runJson();
    expect(exitCode).toBe(1);
    expect(failed).toContain(
      'no credential: too many refusals from this address in the last minute: probe less often',
    );
  });

  test('a server that is away fails the checks', async () => {
    const result = await runCli(['probe'], {
      environment: { MINTMARK_URL: `http://127.0.0.1:${await freePort()}` },
    });
    expect(result.exitCode).toBe(1);
    expect(result.out).toMatch(/^✗ ready: http:\/\/127\.0\.0\.1:\d+ cannot be reached \(ECONNREFUSED\)/);
  });
});

describe('the certificate', () => {
  let https: IssuerDouble;
  let authority: TestAuthority;

  beforeAll(async () => {
    authority = await makeAuthority();
    https = await startTlsIssuerDouble('localhost', await authority.issue('localhost'));
    writeFileSync(join(folder, 'ca.pem'), authority.certificate);
    writeFileSync(join(folder, 'short.yaml'), 'minCertificateDays: 0\n');
  });
  afterAll(() => https?.close());

  async function certificateLine(environment: Record<string, string>, ...args: string[]) {
    const { out } = await runCli(['probe', ...args], {
      environment: { MINTMARK_URL: https.url, ...environment },
    });
    return out.split('\n').find((line) => line.includes('certificate: '));
  }

  test('is counted in days, by a limit, and must be trusted', async () => {
    const trusting = { NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') };
    expect(await certificateLine(trusting)).toBe('✗ certificate: 0 days left');
    expect(await certificateLine(trusting, '--config', join(folder, 'short.yaml'))).toBe(
      '✓ certificate: 0 days left',
    );
    expect(await certificateLine({})).toMatch(/^✗ certificate: no TLS connection \([A-Z_]+\)$/);
  });
});
