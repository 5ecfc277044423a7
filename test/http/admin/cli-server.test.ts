/** The commands that are the server: `mintmark migrate` and `mintmark serve`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../support/server.ts';
import { program, runCli } from './run-cli.ts';

let environment: Record<string, string>;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mintmark-cli-server-'));
  environment = {
    PATH: process.env.PATH ?? '',
    MINTMARK_DATA_DIR: join(folder, 'data'),
    MINTMARK_LISTEN: `127.0.0.1:${await freePort()}`,
    MINTMARK_TRUST_DOMAIN: 'mintmark.test',
  };
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// Three processes, each with a PostgreSQL of its own to start.
it('migrate applies what is pending, once', { timeout: 120_000 }, async () => {
  const first = await runCli(['migrate'], { environment });
  expect(first).toMatchObject({ exitCode: 0, err: '' });
  expect(first.out).toMatch(/^applied 0001_create_policy/);
  expect(await runCli(['migrate'], { environment })).toEqual({
    exitCode: 0,
    out: 'the schema is up to date\n',
    err: '',
  });
  expect(JSON.parse((await runCli(['migrate', '--json'], { environment })).out)).toEqual({ applied: [] });
});

it('serve answers until SIGTERM, and the other commands find its token by themselves', async () => {
  const server = spawn(process.execPath, [program, 'serve'], { env: environment, stdio: 'ignore' });
  const url = `http://${environment.MINTMARK_LISTEN}`;
  try {
    for (let tries = 0; tries < 300; tries++) {
      const answer = await fetch(`${url}/readyz`).catch(() => undefined);
      if (answer?.ok || server.exitCode !== null) break;
      await sleep(100);
    }
    const { MINTMARK_DATA_DIR = '' } = environment;
    const result = await runCli(['why', '01890000-0000-7000-8000-000000000000'], {
      environment: { MINTMARK_URL: url, MINTMARK_DATA_DIR },
    });
    expect(result.err).toContain('No audit event');
  } finally {
    server.kill('SIGTERM');
  }
  const [exitCode] = server.exitCode === null ? await once(server, 'exit') : [server.exitCode];
  expect(exitCode).toBe(0);
});

it('serve names every setting that is wrong', async () => {
  const result = await runCli(['serve'], {
    environment: { MINTMARK_LISTEN: 'nowhere', MINTMARK_COLOUR: 'red' },
  });
  expect(result.exitCode).toBe(1);
  expect(result.err).toMatch(/^mintmark: configuration refused:/);
  expect(result.err).toContain('MINTMARK_LISTEN');
  expect(result.err).toContain('MINTMARK_COLOUR');
});
