/** pg_dump and pg_restore, as docs/backup.md has them: what a server on the restored database knows, and what a lost key costs. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findDebianPostgres } from '../support/debian-postgres.ts';
import { adminToken, deployWithoutSchema, migrate } from '../support/deployment.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { createDatabase, onServer } from '../support/postgres-client.ts';
import { startPostgresProcess } from '../support/postgres-process.ts';
import { run } from '../support/processes.ts';
import { type RunningServer, startServer } from '../support/server.ts';
import {
  auditEvent,
  hashOf,
  jwtSpiffeAssertion,
  ordersId,
  policyOf,
  postToken,
  startWorld,
  type World,
} from '../support/story.ts';

let world: World;
let postgres: PostgresServer;
let binaries: string;
let folder: string;
let dump: string;
let original: RunningServer;
let environment: Record<string, string>;
/** What was known before the backup. */
let token: string;
let permittedId: string;
let refusedId: string;
let keys: unknown;
let policy: unknown;
let rows: Record<string, string>;
const servers: RunningServer[] = [];

beforeAll(async () => {
  binaries = findDebianPostgres();
  folder = mkdtempSync(join(tmpdir(), 'mintmark-backup-'));
  dump = join(folder, 'mintmark.dump');
  world = await startWorld();
  postgres = await startPostgresProcess(binaries);
  environment = { ...(await deployWithoutSchema(postgres.url)), MINTMARK_ADMIN_TOKEN: adminToken };
  await migrate(environment);
  original = await startServer({ environment });
  environment.MINTMARK_ISSUER = original.url;
  const response = await fetch(`${original.url}/admin/v1/policy`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/yaml' },
    body: policyOf(world),
  });
  expect(response.status).toBe(200);

  const permitted = await exchange(original, 'alpha');
  expect(permitted.status).toBe(200);
  token = String(permitted.body.access_token);
  permittedId = permitted.headers.get('x-request-id') ?? '';
  const refused = await exchange(original, 'gamma');
  refusedId = String(refused.body.request_id);
  keys = await readJson(original, '/.well-known/jwks.json');
  policy = await readPolicy(original);
  rows = await rowsOf(environment.DATABASE_URL ?? '');

  // While the server runs: a dump is one snapshot.
  await run(join(binaries, 'bin/pg_dump'), [
    ...['--format=custom', `--file=${dump}`, environment.DATABASE_URL ?? ''],
  ]);
  const later = await exchange(original, 'alpha');
  expect(later.status).toBe(200);
  await original.stop('SIGKILL');
  await onServer(
    postgres.url,
    `drop database ${new URL(environment.DATABASE_URL ?? '').pathname.slice(1)} with (force)`,
  );
});
afterAll(async () => {
  for (const server of servers) await server.remove();
  await original?.remove();
  await postgres?.stop();
  await world?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function exchange({ url }: RunningServer, audience: string) {
  return postToken(url, {
    grant_type: 'client_credentials',
    client_assertion_type: jwtSpiffeAssertion,
    client_assertion: await world.svid(ordersId, original.url),
    audience,
    scope: audience,
  });
}

async function readJson({ url }: RunningServer, path: string): Promise<unknown> {
  const response = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${adminToken}` } });
  expect(response.status).toBe(200);
  return response.json();
}

/** Its documents in no order: the one in which they were sent is not kept. */
async function readPolicy(server: RunningServer): Promise<object> {
  const body = (await readJson(server, '/admin/v1/policy')) as { documents: object[] };
  expect(body.documents.length).toBeGreaterThan(5);
  return { ...body, documents: body.documents.map((document) => JSON.stringify(document)).sort() };
}

/** Of every table, how many rows it has and a hash over all of them. */
async function rowsOf(databaseUrl: string): Promise<Record<string, string>> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const tables = await client.query<{ name: string }>(
    `select tablename as name from pg_tables where schemaname = 'public' order by 1`,
  );
  const found: Record<string, string> = {};
  for (const { name } of tables.rows) {
    const { rows: counted } = await client.query<{ rows: string }>(
      `select count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by t::text)), '') as rows from ${name} t`,
    );
    found[name] = counted[0]?.rows ?? '';
  }
  await client.end();
  return found;
}

/** The dump in a new, empty database; nothing of the old one is left. */
async function restore(): Promise<string> {
  const url = await createDatabase(postgres.url);
  await run(join(binaries, 'bin/pg_restore'), [
    ...['--no-owner', '--no-privileges', '--exit-on-error', '--single-transaction', `--dbname=${url}`, dump],
  ]);
  return url;
}

async function startOn(databaseUrl: string, changed: Record<string, string> = {}): Promise<RunningServer> {
  const server = await startServer({
    environment: { ...environment, DATABASE_URL: databaseUrl, ...changed },
  });
  servers.push(server);
  return server;
}

const verify = async (text: string, set: unknown) =>
  jwtVerify(text, createLocalJWKSet(set as JSONWebKeySet), { issuer: original.url, audience: 'alpha' });

test('every row of every table is there again', async () => {
  const restored = await rowsOf(await restore());
  expect(restored).toEqual(rows);
  expect(Object.keys(restored)).toEqual(
    expect.arrayContaining(['audit_events', 'policy_documents', 'revocations', 'signing_keys']),
  );
  expect(Number.parseInt(restored.audit_events ?? '', 10)).toBeGreaterThan(2);
});

test('a server starts on it: same keys and policy, whole audit, old tokens verify, new ones are issued', async () => {
  const server = await startOn(await restore());
  expect(await readJson(server, '/.well-known/jwks.json')).toEqual(keys);
  expect(await readPolicy(server)).toEqual(policy);
  expect(await auditEvent(server.url, adminToken, permittedId)).toMatchObject({
    outcome: 'permitted',
    token_hash: hashOf(token),
  });
  expect(await auditEvent(server.url, adminToken, refusedId)).toMatchObject({
    reason: 'policy.unknown_resource',
  });
  const set = await readJson(server, '/.well-known/jwks.json');
  expect((await verify(token, set)).payload.sub).toBe(ordersId);
  const issued = await exchange(server, 'alpha');
  expect(issued.status).toBe(200);
  await verify(String(issued.body.access_token), set);
});

test('with another key-encryption key it refuses to start, and without the keys it makes new ones', async () => {
  const databaseUrl = await restore();
  const another = { MINTMARK_KEY_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64') };
  await expect(startOn(databaseUrl, another)).rejects.toThrow(
    /does not decrypt: MINTMARK_KEY_ENCRYPTION_KEY is not the one/,
  );

  await onServer(databaseUrl, 'delete from signing_keys');
  const server = await startOn(databaseUrl, another);
  const set = await readJson(server, '/.well-known/jwks.json');
  await expect(verify(token, set)).rejects.toThrow();
  const issued = await exchange(server, 'alpha');
  expect(issued.status).toBe(200);
  expect((await verify(String(issued.body.access_token), set)).payload.sub).toBe(ordersId);
  expect(await readPolicy(server)).toEqual(policy);
  expect(await auditEvent(server.url, adminToken, permittedId)).toMatchObject({ outcome: 'permitted' });
});
