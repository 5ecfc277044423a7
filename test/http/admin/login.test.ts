/** `mintmark login`: the real command line, a real OpenID provider, a person's browser, and a real server. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type OpenIdProvider, signInAs, startOpenIdProvider } from '../../support/openid-provider.ts';
import { type RunningServer, startServer } from '../../support/server.ts';
import { auditEvent } from '../../support/story.ts';
import { program, runCli } from './run-cli.ts';

const ann = 'spiffe://mintmark.test/company/ann';

let provider: OpenIdProvider;
let server: RunningServer;
let home: string;

beforeAll(async () => {
  provider = await startOpenIdProvider();
  server = await startServer({
    policy: () => `
apiVersion: mintmark/v1
kind: Issuer
metadata: { name: company }
spec:
  platform: oidc
  issuer: "${provider.url}"
  audiences: [${provider.clientId}]
  replay: once
---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: admins }
spec:
  subjects: [{ spiffeId: ${ann} }]
  resource: mintmark-admin
  scopes: [policy:read, policy:write, policy:admin, audit:read]
  defaultScopes: [policy:read, policy:write, policy:admin]
`,
  });
});
afterAll(async () => {
  await server.remove();
  await provider.close();
});
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'mintmark-home-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const environment = () => ({ MINTMARK_URL: server.url, HOME: home });
const logins = () => join(home, '.config', 'mintmark', 'logins');
const filesOf = (folder: string) => {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
};

/** Runs `mintmark login`, and lets `browse` do what a person does with the address that it prints. */
async function login(browse: (url: URL) => Promise<unknown>, ...args: string[]) {
  const child = spawn(
    process.execPath,
    [program, 'login', '--provider', provider.url, '--client-id', provider.clientId, ...args],
    { env: { PATH: process.env.PATH ?? '', ...environment() }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const written = { out: '', err: '' };
  let isBrowsing = false;
  let browsed: Promise<unknown> = Promise.resolve();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    written.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    written.err += text;
    const address = /Sign in here: (\S+)\n/.exec(written.err)?.[1];
    if (address === undefined || isBrowsing) return;
    isBrowsing = true;
    browsed = browse(new URL(address));
  });
  await once(child, 'close');
  await browsed;
  return { exitCode: child.exitCode, ...written };
}

const asPerson = (person: string | undefined) => (url: URL) => signInAs(person, url.href);

/** The person signs in after all, though the address was changed on the way. */
const changed = (name: string, value: string) => (url: URL) => {
  url.searchParams.set(name, value);
  return signInAs('ann', url.href);
};

function expectRefused(result: Awaited<ReturnType<typeof login>>, message: string | RegExp) {
  expect(result).toMatchObject({ exitCode: 1, out: '' });
  expect(result.err).toMatch(message);
  expect(result.err).not.toContain('eyJ');
  expect(filesOf(logins())).toEqual([]);
}

describe('login', () => {
  it('makes the person an admin until logout', async () => {
    let seen: Response | undefined;
    const result = await login(async (url) => {
      seen = await signInAs('ann', url.href);
    });
    expect(result).toMatchObject({ exitCode: 0 });
    expect(result.out).toBe(
      `signed in to ${server.url} for 600 seconds: policy:read policy:write policy:admin\n`,
    );
    expect(seen?.status).toBe(200);
    expect(seen?.headers.get('cache-control')).toBe('no-store');

    const [file = '', ...others] = readdirSync(logins());
    expect(others).toEqual([]);
    expect(statSync(logins()).mode & 0o777).toBe(0o700);
    expect(statSync(join(logins(), file)).mode & 0o777).toBe(0o600);
    const kept = JSON.parse(readFileSync(join(logins(), file), 'utf8'));
    expect(result.out + result.err).not.toContain(kept.access_token);

    const policy = join(home, 'policy.yaml');
    writeFileSync(
      policy,
      'apiVersion: mintmark/v1\nkind: Resource\nmetadata: { name: by-ann }\nspec: { audience: by-ann }\n',
    );
    const applied = await runCli(['apply', '-f', policy], { environment: environment() });
    expect(applied).toMatchObject({ exitCode: 0, err: '' });
    expect(applied.out).toContain('by-ann');

    const logout = () => runCli(['logout'], { environment: environment() });
    expect(await logout()).toEqual({ exitCode: 0, out: `signed out of ${server.url}\n`, err: '' });
    expect(readdirSync(logins())).toEqual([]);
    expect((await logout()).out).toBe(`there was no login to ${server.url}\n`);
    const after = await runCli(['apply', '-f', policy], { environment: environment() });
    expect(after).toMatchObject({ exitCode: 2, out: '' });
    expect(after.err).toContain('There is no admin token');
    expect(after.err).toContain('mintmark login');
  });

  it('asks for the scopes that are named, and says so as JSON', async () => {
    const result = await login(asPerson('ann'), '--scope', 'audit:read', '--json');
    expect(JSON.parse(result.out)).toEqual({ server: server.url, scope: 'audit:read', expires_in: 600 });
    const applied = await runCli(['why', '01890000-0000-7000-8000-000000000000'], {
      environment: environment(),
    });
    expect(applied.err).toContain('No audit event');
  });

  it('is not offered to another server', async () => {
    await login(asPerson('ann'));
    const [file = ''] = readdirSync(logins());
    const other = await startServer();
    try {
      const elsewhere = { ...environment(), MINTMARK_URL: other.url };
      const result = await runCli(['why', '01890000-0000-7000-8000-000000000000'], {
        environment: elsewhere,
      });
      expect(result.err).toContain('There is no admin token');
      // Not even where the file has that server's name.
      const { readLogin } = await import('../../../src/cli/login-store.ts');
      const readTextFile = async () => readFileSync(join(logins(), file), 'utf8');
      expect(await readLogin({ environment: elsewhere, readTextFile }, other.url)).toBeUndefined();
      expect((await readLogin({ environment: elsewhere, readTextFile }, server.url))?.reveal()).toMatch(
        /^eyJ/,
      );
    } finally {
      await other.remove();
    }
  });
});

describe('login is refused', () => {
  it('for a person who is no admin, with the reason in the audit', async () => {
    const result = await login(asPerson('bob'));
    expectRefused(result, 'invalid_target');
    const requestId = /mintmark why (\S+)/.exec(result.err)?.[1] ?? '';
    expect(await auditEvent(server.url, server.adminToken(), requestId)).toMatchObject({
      reason: 'policy.no_grant',
      identity: 'spiffe://mintmark.test/company/bob',
    });
  });

  it('for scopes that the person may not have', async () => {
    expectRefused(await login(asPerson('ann'), '--scope', 'keys:rotate'), 'invalid_scope');
  });

  it('where the person gives up', async () => {
    expectRefused(await login(asPerson(undefined)), /refused: access_denied/);
  });

  it('where the answer is to another request (state)', async () => {
    expectRefused(await login(changed('state', 'another')), /not accepted: .*state/);
  });

  it('where the ID token is for another request (nonce)', async () => {
    expectRefused(await login(changed('nonce', 'another')), /not accepted: .*nonce/);
  });

  it('where the code was given to another program (PKCE)', async () => {
    const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'; // RFC 7636 appendix B
    expectRefused(await login(changed('code_challenge', challenge)), /refused: invalid_grant/);
  });

  it('where a stranger answers first', async () => {
    const result = await login(async (url) => {
      const redirect = String(url.searchParams.get('redirect_uri'));
      expect(new URL(redirect).hostname).toBe('127.0.0.1');
      expect((await fetch(new URL('/elsewhere', redirect))).status).toBe(404);
      expect((await fetch(redirect, { method: 'POST' })).status).toBe(404);
      const page = await fetch(`${redirect}?code=<script>&state=guess&iss=${provider.url}`);
      expect(await page.text()).not.toContain('script');
    });
    expectRefused(result, /not accepted: .*state/);
  });

  it.each([
    [['--provider', 'http://provider.test'], 'must be https'],
    [['--provider', 'nowhere'], 'is not a URL'],
  ])('for %s', async (args, message) => {
    const result = await login(asPerson('ann'), ...args);
    expect(result).toMatchObject({ exitCode: 2, out: '' });
    expect(result.err).toContain(message);
  });

  it('where nobody is at the provider’s address', async () => {
    expectRefused(await login(asPerson('ann'), '--provider', 'http://127.0.0.1:9'), 'cannot be reached');
  });

  it('where the server has another issuer than its address', async () => {
    const result = await runCli(['login', '--provider', provider.url, '--client-id', provider.clientId], {
      environment: { ...environment(), MINTMARK_URL: server.url.replace('127.0.0.1', 'localhost') },
    });
    expect(result).toMatchObject({ exitCode: 1, out: '' });
    expect(result.err).toContain('says that its issuer is');
  });
});
