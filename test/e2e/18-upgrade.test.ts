/** An upgrade under load: the release before this one and this one, side by side on one PostgreSQL and one Redis. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { adminToken, deploy, deployWithoutSchema, migrate } from '../support/deployment.ts';
import { expectAllRecorded, type Load, startLoad } from '../support/load.ts';
import { onServer } from '../support/postgres-client.ts';
import { type PreviousRelease, unpackPreviousRelease } from '../support/previous-release.ts';
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

const migrationsFolder = new URL('../../migrations', import.meta.url).pathname;

let world: World;
let previous: PreviousRelease;
let one: RunningServer | undefined;
let two: RunningServer | undefined;

beforeAll(async () => {
  [world, previous] = await Promise.all([startWorld(), unpackPreviousRelease()]);
});
afterAll(async () => {
  await Promise.all([one?.remove(), two?.remove()]);
  await world?.close();
  previous?.remove();
});

async function putPolicy(server: RunningServer, text: string): Promise<void> {
  const response = await fetch(`${server.url}/admin/v1/policy`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/yaml' },
    body: text,
  });
  expect(response.status, await response.text()).toBe(200);
}

/** Tokens that were issued beside the load. */
const issuedBeside = new Set<string>();

async function exchange(server: RunningServer, issuer: string, audience: string) {
  const answer = await postToken(server.url, {
    grant_type: 'client_credentials',
    client_assertion_type: jwtSpiffeAssertion,
    client_assertion: await world.svid(ordersId, issuer),
    audience,
    scope: audience,
  });
  if (answer.status === 200) issuedBeside.add(hashOf(String(answer.body.access_token)));
  return answer;
}

/** A token of one verifies with the keys that the other publishes. */
async function expectKeysAgree(minter: RunningServer, publisher: RunningServer, issuer: string) {
  const { status, body, headers } = await exchange(minter, issuer, 'alpha');
  expect(status).toBe(200);
  const keys = createRemoteJWKSet(new URL(`${publisher.url}/.well-known/jwks.json`));
  await jwtVerify(String(body.access_token), keys, { issuer, audience: 'alpha', typ: 'at+jwt' });
  const event = await auditEvent(publisher.url, adminToken, String(headers.get('x-request-id')));
  expect(event).toMatchObject({ outcome: 'permitted', identity: ordersId });
}

async function migrationsOf(folder: string): Promise<ReadonlyMap<string, string>> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql'));
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')] as const)),
  );
}

test('no migration of the release before was altered or taken away', async () => {
  const now = await migrationsOf(migrationsFolder);
  const before = await migrationsOf(previous.migrationsFolder);
  expect(before.size).toBeGreaterThan(6);
  for (const [name, statements] of before) expect(now.get(name), name).toBe(statements);
});

test('both releases serve one database while it is migrated and replicas are replaced: 0 failures', async () => {
  const loads: Load[] = [];
  const environment = {
    ...(await deploy('embedded', 'Redis')),
    ...(await deployWithoutSchema()),
  };
  const databaseUrl = String(environment.DATABASE_URL);
  await migrate(environment, previous.commandLine);
  one = await startServer({ environment, program: previous.main });
  const issuer = one.url;
  const policy = policyOf(world);
  const withoutBeta = policy
    .split('---')
    .filter((text) => !text.includes('orders-on-beta'))
    .join('---');
  await putPolicy(one, policy);
  const onOld = await startLoad(world, one.url, issuer);
  loads.push(onOld);
  await onOld.pass(200);

  // 1. Expand, under load.
  const schema = `select name from schema_migrations order by name`;
  const before = (await onServer(databaseUrl, schema)).rows.length;
  await migrate(environment);
  const applied = (await onServer(databaseUrl, schema)).rows.length - before;
  await onOld.pass(200);

  // 2. This release beside the one before.
  two = await startServer({ environment: { ...environment, MINTMARK_ISSUER: issuer } });
  const onNew = await startLoad(world, two.url, issuer);
  loads.push(onNew);
  await Promise.all([onOld.pass(200), onNew.pass(200)]);
  await expectKeysAgree(one, two, issuer);
  await expectKeysAgree(two, one, issuer);
  for (const [writer, reader] of [
    [one, two],
    [two, one],
  ] as const) {
    for (const [text, status] of [
      [withoutBeta, 400],
      [policy, 200],
    ] as const) {
      await putPolicy(writer, text);
      await expect
        .poll(async () => (await exchange(reader, issuer, 'beta')).status, { timeout: 5_000 })
        .toBe(status);
    }
  }

  // 3. The one before starts on the new schema, as it does where an upgrade is given up.
  await onOld.stop();
  await one.stop();
  await one.restart();
  await expectKeysAgree(one, two, issuer);
  await expectKeysAgree(two, one, issuer);

  // 4. This release alone.
  await one.stop();
  await onNew.pass(200);
  await onNew.stop();
  expect(loads.flatMap(({ failures }) => failures)).toEqual([]);
  const issued = new Set([...issuedBeside, ...loads.flatMap((load) => [...load.issued])]);
  const recorded = await expectAllRecorded(databaseUrl, issued);
  expect(recorded).toBe(issued.size);
  console.info(
    `upgrade: ${applied} migrations under load, ${onOld.issued.size} issued by the release before, ${onNew.issued.size} by this one, 0 failures, ${recorded} recorded`,
  );
}, 120_000);
