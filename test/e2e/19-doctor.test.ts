/** `mintmark doctor`, as a process, on real stores: what is well passes, and one thing at a time is made wrong. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../http/admin/run-cli.ts';
import { adminToken, deploy, deployWithoutSchema } from '../support/deployment.ts';
import { makeAuthority } from '../support/issuer-double-tls.ts';
import { onServer } from '../support/postgres-client.ts';
import { startRedis } from '../support/redis.ts';
import { freePort, type RunningServer, startServer } from '../support/server.ts';

let server: RunningServer;
let redis: Awaited<ReturnType<typeof startRedis>>;
let environment: Record<string, string>;

beforeAll(async () => {
  redis = await startRedis();
  const deployed = { ...(await deploy('PostgreSQL', 'memory')), REDIS_URL: redis.url };
  server = await startServer({ environment: deployed });
  environment = {
    ...deployed,
    MINTMARK_ISSUER: server.url,
    MINTMARK_TRUST_DOMAIN: 'mintmark.test',
    MINTMARK_DATA_DIR: join(server.dataDir, 'data'),
  };
});
afterAll(async () => {
  await server?.remove();
  await redis?.stop();
});

async function examine(changes: Record<string, string> = {}) {
  const result = await runCli(['doctor', '--json'], { environment: { ...environment, ...changes } });
  const { checks } = JSON.parse(result.out) as {
    checks: { check: string; passed: boolean; detail: string; advice?: string }[];
  };
  const failed = checks.filter(({ passed }) => !passed);
  for (const { advice } of failed) expect(advice).toMatch(/\w/);
  return { ...result, checks, failed: failed.map(({ check, detail }) => `${check}: ${detail}`) };
}

test('an environment that is well passes every check, and no secret is shown', async () => {
  const { exitCode, out, err, checks } = await examine();
  expect([exitCode, err]).toEqual([0, '']);
  expect(checks.map(({ check, detail }) => [check, detail])).toEqual([
    ['configuration', `issuer ${server.url}`],
    ['data folder', expect.stringMatching(/\/data, \d+ MiB free$/)],
    ['PostgreSQL', expect.stringMatching(/^version \d+.*, as mintmark, clock within 5 s$/)],
    ['schema and keys', 'schema at head, 2 keys open'],
    ['Redis', 'maxmemory-policy noeviction, clock within 5 s'],
    ['issuer', 'answers as this issuer'],
  ]);
  for (const secret of [adminToken, environment.MINTMARK_KEY_ENCRYPTION_KEY]) {
    expect(out).not.toContain(secret);
  }
  const human = await runCli(['doctor'], { environment });
  expect(human.out).toMatch(/^✓ configuration: issuer .+\n(✓ .+\n){5}6 passed, 0 failed\n$/);
});

test('every problem of the configuration is said at once', async () => {
  const { exitCode, failed } = await examine({ MINTMARK_LISTEN: 'nowhere', MINTMARK_TRUST_DOMAIN: 'NO' });
  expect(exitCode).toBe(1);
  expect(failed).toEqual([
    'configuration: MINTMARK_TRUST_DOMAIN: is not a SPIFFE trust domain name',
    'configuration: MINTMARK_LISTEN: is not host:port, such as 127.0.0.1:8080 or [::]:8080',
  ]);
});

test('stores that are away, with no password in the answer', async () => {
  const port = await freePort();
  const { exitCode, out, failed } = await examine({
    DATABASE_URL: `postgres://mintmark:canary-password@127.0.0.1:${port}/none`,
    REDIS_URL: `redis://:canary-password@127.0.0.1:${port}`,
  });
  expect(exitCode).toBe(1);
  expect(failed).toEqual([
    'PostgreSQL: cannot be asked (ECONNREFUSED)',
    'schema and keys: the schema is behind, or cannot be read',
    expect.stringMatching(/^Redis: cannot be asked \(/),
  ]);
  expect(out).not.toContain('canary-password');
});

test('a database that is not migrated', async () => {
  const { failed } = await examine(await deployWithoutSchema());
  expect(failed).toContain('schema and keys: the schema is behind, or cannot be read');
});

test('a key-encryption key that is not the one that keys were stored with', async () => {
  const { failed } = await examine({ MINTMARK_KEY_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64') });
  expect(failed).toEqual([expect.stringMatching(/^schema and keys: key \S+ does not open$/)]);
});

test('an exchange role that can read the audit, and the one of our script, which cannot', async () => {
  const databaseUrl = String(environment.DATABASE_URL);
  const script = readFileSync(new URL('../../deploy/exchange-role.sql', import.meta.url), 'utf8');
  await onServer(databaseUrl, script);
  const roleUrl = new URL(databaseUrl);
  roleUrl.username = 'mintmark_exchange';
  const well = await examine({ MINTMARK_EXCHANGE_DATABASE_URL: roleUrl.href });
  expect([well.exitCode, well.failed]).toEqual([0, []]);
  expect(well.checks).toContainEqual({
    check: 'exchange role',
    passed: true,
    detail: 'mintmark_exchange appends to the audit and cannot read it',
  });
  const { failed } = await examine({ MINTMARK_EXCHANGE_DATABASE_URL: String(environment.DATABASE_URL) });
  expect(failed).toEqual(['exchange role: mintmark can read the audit']);
});

test('a Redis that evicts', async () => {
  const client = new Redis(redis.url);
  try {
    await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    expect((await examine()).failed).toEqual([
      'Redis: maxmemory-policy is allkeys-lru: a claim that is evicted lets a credential in twice',
    ]);
  } finally {
    await client.config('SET', 'maxmemory-policy', 'noeviction');
    client.disconnect();
  }
});

test('a data folder that is open to others, and a certificate that ends soon', async () => {
  const folder = String(environment.MINTMARK_DATA_DIR);
  const { cert, key } = await (await makeAuthority()).issue('localhost');
  const files = { MINTMARK_TLS_CERT: join(server.dataDir, 'c'), MINTMARK_TLS_KEY: join(server.dataDir, 'k') };
  writeFileSync(files.MINTMARK_TLS_CERT, cert);
  writeFileSync(files.MINTMARK_TLS_KEY, key);
  chmodSync(folder, 0o755);
  try {
    expect((await examine(files)).failed).toEqual([
      `data folder: ${folder} is open to others (755)`,
      'TLS certificate: matches its key, 0 days left',
    ]);
  } finally {
    chmodSync(folder, 0o700);
  }
});

test('an issuer at which somebody else answers, or nobody', async () => {
  const nobody = await examine({ MINTMARK_ISSUER: `http://127.0.0.1:${await freePort()}` });
  expect(nobody.failed).toEqual(['issuer: nobody answers there']);
  const other = await examine({ MINTMARK_ISSUER: server.url.replace('127.0.0.1', 'localhost') });
  expect(other.failed).toEqual(['issuer: somebody else answers there']);
});
