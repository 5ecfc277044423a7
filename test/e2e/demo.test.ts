/** `npm run demo` as a newcomer runs it: a child process, what it prints, how it leaves, and what it leaves behind. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fetchToken } from '../../examples/fetch-token.ts';
import { eventually } from '../support/processes.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const timeoutMillis = 90_000;

let temporary: string;
let child: ChildProcess | undefined;

beforeEach(() => {
  temporary = mkdtempSync(join(tmpdir(), 'mintmark-demo-test-'));
});

afterEach(() => {
  if (child !== undefined && isGroupAlive(child)) process.kill(-(child.pid ?? 0), 'SIGKILL');
  rmSync(temporary, { recursive: true });
});

/** Starts the demo as the leader of a process group, so that whatever it leaves running can be seen. */
function startDemo(args: readonly string[] = [], environment: Record<string, string> = {}) {
  const started = spawn(process.execPath, ['src/demo/run.ts', ...args], {
    cwd: root,
    env: { PATH: process.env.PATH ?? '', TMPDIR: temporary, ...environment },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child = started;
  let written = '';
  for (const stream of [started.stdout, started.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      written += text;
    });
  }
  const closed = once(started, 'close');
  return {
    process: started,
    output: () => written,
    exitCode: async () => {
      await closed;
      return started.exitCode;
    },
    until: (text: string) =>
      eventually(async () => {
        if (started.exitCode !== null) throw new Error(`ended with ${started.exitCode}:\n${written}`);
        if (!written.includes(text)) throw new Error(`never printed ${text}:\n${written}`);
      }, timeoutMillis),
  };
}

function isGroupAlive({ pid }: ChildProcess): boolean {
  try {
    return pid !== undefined && process.kill(-pid, 0);
  } catch {
    return false;
  }
}

function expectNothingLeft(demo: { process: ChildProcess }): void {
  expect(isGroupAlive(demo.process)).toBe(false);
  expect(readdirSync(temporary)).toEqual([]);
}

describe('npm run demo', () => {
  it('is the script of that name', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(scripts.demo).toBe('node src/demo/run.ts');
  });

  it('tells the whole story, leaves with 0, and leaves nothing behind', {
    timeout: timeoutMillis,
  }, async () => {
    const demo = startDemo();
    await demo.until('mintmark      http://');
    expect(isGroupAlive(demo.process)).toBe(true);
    expect(await demo.exitCode(), demo.output()).toBe(0);

    const lines = demo.output().split('\n');
    const has = (pattern: RegExp) => expect(lines).toContainEqual(expect.stringMatching(pattern));
    for (const step of [1, 2, 3, 4, 5]) has(new RegExp(`^${step}  \\S`));
    has(/^ {3}\$ curl -sS http:\/\/127\.0\.0\.1:\d+\/api\/v1\/token \\$/);
    has(/^ {3}\$ curl -sS http:\/\/127\.0\.0\.1:\d+\/oauth\/token \\$/);
    has(/^ {3}header +\{"typ":"at\+jwt","alg":"ES256",/);
    has(/^ {3}sub +spiffe:\/\/mintmark\.demo\/demo-cluster\/ns\/shop\/sa\/orders /);
    has(/^ {3}→ 200 in \d+ ms {2}aud: alpha {2}scope: alpha profile email$/);
    has(/^ {3}→ 200 in \d+ ms {2}aud: beta {2}scope: beta$/);
    has(/^ {3}→ 401 in \d+ ms {2}invalid_token: the token is not for the audience beta$/);
    has(/^ {3}→ 401 in \d+ ms {2}invalid_token: the token is not for the audience alpha$/);
    has(/^ {3}error +invalid_target$/);
    has(/^ {3}\$ mintmark why [0-9a-f-]{36}$/);
    has(/policy\.no_grant/);
    has(/^ {3}✓ 3 attempts, 3 audit events$/);
    has(/^ {3}✓ All of it held, in [\d.]+ s\.$/);

    expect(demo.output()).not.toContain('✗ m');
    expect(demo.output()).not.toContain('\u001b');
    expect(demo.output()).not.toMatch(/eyJ[\w-]+\.[\w-]+\.[\w-]+/); // no token whole, in a terminal's history
    expectNothingLeft(demo);
  });

  it('--keep stays, with credentials in private files and none in the log', {
    timeout: timeoutMillis,
  }, async () => {
    const demo = startDemo(['--keep']);
    await demo.until('server log');
    const [name = ''] = readdirSync(temporary);
    const folder = join(temporary, name);
    const url = /MINTMARK_URL=(\S+)/.exec(demo.output())?.[1] ?? '';
    for (const file of [
      'orders.authorization',
      'reports.authorization',
      'billing.svid',
      'alpha-token.authorization',
    ]) {
      expect(demo.output()).toContain(`@$D/${file}`);
    }
    const headers = readdirSync(folder).filter((file) => file.endsWith('.authorization'));
    expect(headers).toHaveLength(5);
    const read = (file: string) => readFileSync(join(folder, file), 'utf8');
    const bearer = (file: string) => read(file).replace('Authorization: Bearer ', '');

    for (const file of [...headers, 'billing.svid']) {
      expect(statSync(join(folder, file)).mode & 0o077).toBe(0);
    }
    const token = await fetchToken(url, bearer('orders.authorization'), 'alpha', 'alpha');
    expect(token).toMatchObject({ token_type: 'Bearer', scope: 'alpha' });
    const refused = fetchToken(url, bearer('reports.authorization'), 'alpha', 'alpha');
    await expect(refused).rejects.toThrow(/^invalid_target \(request_id [0-9a-f-]{36}\)$/);

    const log = await eventually(async () => {
      const text = read('server.log');
      expect(text).toContain('policy.no_grant');
      return text;
    });
    const secrets = [...headers.map(bearer), read('billing.svid'), token.access_token];
    for (const secret of secrets) {
      expect(secret.length).toBeGreaterThan(40);
      expect(log.includes(secret.split('.').at(-1) ?? secret)).toBe(false);
    }

    demo.process.kill('SIGINT');
    expect(await demo.exitCode()).toBe(0);
    expectNothingLeft(demo);
  });

  it('cleans up when it is interrupted while it starts', { timeout: timeoutMillis }, async () => {
    const demo = startDemo();
    await demo.until('trust domain');
    const hasLaunched = async () =>
      expect(readdirSync(temporary, { recursive: true })).toContainEqual(
        expect.stringMatching(/server\.log$/),
      );
    await eventually(hasLaunched);
    expect(demo.output()).not.toContain('ready in');
    demo.process.kill('SIGINT');
    expect(await demo.exitCode()).toBe(130);
    expectNothingLeft(demo);
  });

  it('cleans up and leaves with 1 when a part does not start', { timeout: timeoutMillis }, async () => {
    const demo = startDemo([], { TMPDIR: join(temporary, 'missing') });
    expect(await demo.exitCode()).toBe(1);
    expect(demo.output()).toMatch(/✗ ENOENT/);
    expect(isGroupAlive(demo.process)).toBe(false);
  });

  it('leaves with 2 on an option that it does not know', async () => {
    const demo = startDemo(['--kep']);
    expect(await demo.exitCode()).toBe(2);
    expect(demo.output()).toContain('usage: npm run demo');
    expectNothingLeft(demo);
  });
});

describe('examples/policy.yaml', () => {
  const validate = (...options: string[]) =>
    promisify(execFile)(
      process.execPath,
      ['src/cli/mintmark.ts', 'validate', '-f', 'examples/policy.yaml', ...options],
      { cwd: root },
    );

  it('is valid as its first lines say', async () => {
    const { stdout } = await validate(
      '--issuer',
      'https://sts.example',
      '--trust-domain',
      'mintmark.example',
    );
    expect(stdout).toBe('7 documents and 1 policy test: valid\n');
  });

  it('is refused for another trust domain than its grants name', async () => {
    const other = validate('--issuer', 'https://sts.example', '--trust-domain', 'other.example');
    await expect(other).rejects.toMatchObject({ code: 1 });
  });
});
