/** `mintmark audit verify` after two replicas under load, one of which was killed with -9. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, inject, test } from 'vitest';
import { adminToken, deployWithoutSchema, migrate } from '../support/deployment.ts';
import { onServer } from '../support/postgres-client.ts';
import { startServer } from '../support/server.ts';
import { jwtSpiffeAssertion, ordersId, policyOf, postToken, startWorld } from '../support/story.ts';

const run = promisify(execFile);
const commandLine = new URL('../../src/cli/mintmark.ts', import.meta.url).pathname;
const issuer = 'https://mintmark.test';

test('two replicas under load, one killed with -9: the chains are whole, until somebody touches them', async () => {
  const environment: Record<string, string> = {
    ...(await deployWithoutSchema(inject('postgresUrl'))),
    MINTMARK_ADMIN_TOKEN: adminToken,
    MINTMARK_ISSUER: issuer,
  };
  await migrate(environment);
  const databaseUrl = String(environment.DATABASE_URL);
  const world = await startWorld();
  const servers = [
    await startServer({ policy: () => policyOf(world), environment }),
    await startServer({ policy: () => policyOf(world), environment }),
  ];
  const [survivor, killed] = servers;
  if (survivor === undefined || killed === undefined) throw new Error('two servers were started');
  try {
    const form = {
      grant_type: 'client_credentials',
      client_assertion_type: jwtSpiffeAssertion,
      client_assertion: await world.svid(ordersId, issuer),
      audience: 'alpha',
      scope: 'alpha',
    };
    const issued = new Map(servers.map(({ url }) => [url, 0]));
    let isRunning = true;
    const caller = async (url: string) => {
      while (isRunning) {
        const answer = await postToken(url, form).catch(() => undefined);
        if (answer === undefined) return; // killed
        if (answer.status === 200) issued.set(url, (issued.get(url) ?? 0) + 1);
      }
    };
    const callers = servers.flatMap(({ url }) => Array.from({ length: 8 }, () => caller(url)));
    await expect.poll(() => Math.min(...issued.values()), { timeout: 20_000 }).toBeGreaterThan(100);
    await killed.stop('SIGKILL');
    const then = issued.get(survivor.url) ?? 0;
    await expect.poll(() => issued.get(survivor.url), { timeout: 20_000 }).toBeGreaterThan(then + 50);
    isRunning = false;
    await Promise.all(callers);

    const verify = async () => {
      const { stdout, code } = await run(process.execPath, [commandLine, 'audit', 'verify', '--json'], {
        env: { PATH: process.env.PATH, MINTMARK_URL: survivor.url, ...environment },
      }).then(
        ({ stdout }) => ({ stdout, code: 0 }),
        (error: { stdout: string; code: number }) => ({ stdout: error.stdout, code: error.code }),
      );
      return { code, verdict: JSON.parse(stdout) as Record<string, unknown> };
    };
    const { code, verdict } = await verify();
    expect({ code, ...verdict }).toMatchObject({ code: 0, whole: true, unchained: 0, findings: [] });
    const total = [...issued.values()].reduce((sum, count) => sum + count, 0);
    expect(Number(verdict.events)).toBeGreaterThanOrEqual(total);
    console.log(`${total} tokens by two replicas, one killed: ${JSON.stringify(verdict)}`);

    await onServer(databaseUrl, `delete from audit_events where sequence = 5`);
    const after = await verify();
    expect(after.code).toBe(1);
    expect(after.verdict).toMatchObject({ whole: false });
    expect(after.verdict.findings).toContainEqual(
      expect.objectContaining({ problem: 'missing', sequence: 5 }),
    );

    await survivor.stop(); // its last checkpoint covers all that it wrote
    const { rows } = await onServer(
      databaseUrl,
      `select count(*) as count from audit_events where action = 'audit.checkpoint'`,
    );
    expect(Number(rows[0]?.count)).toBeGreaterThanOrEqual(1);
  } finally {
    await Promise.all(servers.map((server) => server.remove()));
    await world.close();
  }
}, 90_000);
