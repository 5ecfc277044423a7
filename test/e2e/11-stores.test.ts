/** One story on each pair of stores, and two replicas that share them: what one knows, the other knows. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { runCli } from '../http/admin/run-cli.ts';
import { adminToken, deploy, deployWithoutSchema, migrate } from '../support/deployment.ts';
import { type IssuerDouble, startIssuerDouble } from '../support/issuer-double.ts';
import { eventually } from '../support/processes.ts';
import { type RunningServer, startServer } from '../support/server.ts';
import {
  auditEvent,
  functionId,
  hashOf,
  jwtSpiffeAssertion,
  lifetime,
  ordersId,
  policyOf,
  postToken,
  startWorld,
  type World,
} from '../support/story.ts';
import { jwksOf, kubernetesClaims, makeKey, signToken, type TestKey } from '../support/tokens.ts';

let world: World;
let once: IssuerDouble;
let onceKey: TestKey;

beforeAll(async () => {
  world = await startWorld();
  onceKey = await makeKey('once-1');
  once = await startIssuerDouble({ keys: jwksOf(onceKey) });
});
afterAll(async () => {
  await once?.close();
  await world?.close();
});

/** The policy of all stories, and an issuer whose tokens may be used once. */
const policy = () => `${policyOf(world)}
---
apiVersion: mintmark/v1
kind: Issuer
metadata: { name: once }
spec: { platform: kubernetes, issuer: "${once.url}", keys: { discovery: true }, replay: once }
---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: once-on-alpha }
spec:
  subjects: [{ spiffeId: "spiffe://mintmark.test/once/ns/payments/sa/api" }]
  resource: alpha
  scopes: [alpha]
---
apiVersion: mintmark/v1
kind: Resource
metadata: { name: again }
spec: { audience: again, scopes: [again], tokenLifetime: 10m, reuse: { minRemaining: 2m } }
---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: orders-on-again }
spec: { subjects: [{ spiffeId: "${ordersId}" }], resource: again, scopes: [again] }
`;

async function exchange(url: string, audience: string, issuer = url) {
  return postToken(url, {
    grant_type: 'client_credentials',
    client_assertion_type: jwtSpiffeAssertion,
    client_assertion: await world.svid(ordersId, issuer),
    audience,
    scope: audience,
  });
}

async function present(url: string, token: string) {
  const response = await fetch(`${url}/api/v1/token`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ audience: 'alpha', scope: 'alpha' }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const oneTimeToken = (audience: string) =>
  signToken(onceKey, kubernetesClaims(once.url, audience, { ...lifetime(600), nbf: undefined }));

const eventOf = (url: string, requestId: unknown) => auditEvent(url, adminToken, String(requestId));

const readKeys = async (url: string) => (await fetch(`${url}/.well-known/jwks.json`)).json();

describe.each([
  ['embedded', 'memory'],
  ['embedded', 'Redis'],
  ['PostgreSQL', 'memory'],
  ['PostgreSQL', 'Redis'],
] as const)('on %s and %s', (database, shared) => {
  let server: RunningServer;

  beforeAll(async () => {
    server = await startServer({ policy, environment: await deploy(database, shared) });
  });
  afterAll(() => server?.remove());

  test('an exchange, a refusal and a one-time credential, all remembered through a kill -9', async () => {
    const { url } = server;
    const permitted = await exchange(url, 'alpha');
    expect(permitted.status).toBe(200);
    const refused = await exchange(url, 'gamma');
    expect(refused).toMatchObject({ status: 400, body: { error: 'invalid_target' } });
    const token = await oneTimeToken(url);
    const [first, second] = [await present(url, token), await present(url, token)];
    expect(first.status).toBe(200);
    expect(second).toMatchObject({ status: 401, body: { error: 'invalid_token' } });
    const keys = await readKeys(url);

    const expectRemembered = async () => {
      expect(await eventOf(url, permitted.headers.get('x-request-id'))).toMatchObject({
        outcome: 'permitted',
        identity: ordersId,
        grants: ['orders-on-alpha'],
        token_hash: hashOf(String(permitted.body.access_token)),
      });
      expect(await eventOf(url, refused.body.request_id)).toMatchObject({
        outcome: 'refused',
        reason: 'policy.unknown_resource',
      });
      expect(await eventOf(url, second.body.request_id)).toMatchObject({ reason: 'credential.replayed' });
      expect(await eventOf(url, '00000000-0000-7000-8000-000000000000')).toBeUndefined();
    };
    await expectRemembered();
    await server.stop('SIGKILL');
    await server.restart();
    await expectRemembered();

    expect(await readKeys(url)).toEqual(keys);
    expect(await present(url, token)).toMatchObject({ status: 401 });
    expect((await present(url, await oneTimeToken(url))).status).toBe(200);
    expect((await exchange(url, 'beta')).status).toBe(200);
  }, 60_000);

  test('the prober finds nothing wrong', async () => {
    const credentialFile = join(server.dataDir, 'platform-token');
    writeFileSync(credentialFile, await world.platformToken(server.url));
    const probe = [
      'probe',
      '--credential-file',
      credentialFile,
      '--audience',
      'alpha',
      '--expect',
      `sub=${functionId}`,
    ];
    const result = await runCli(probe, { environment: { MINTMARK_URL: server.url } });
    expect(result).toMatchObject({ exitCode: 0, err: '' });
    expect(result.out).toContain(`✓ exchange: a token for ${functionId}\n`);
  });
});

test('on a database that is not migrated the server refuses to start, and says what to do', async () => {
  const environment = await deployWithoutSchema();
  await expect(startServer({ environment })).rejects.toThrow(/ended with 1:.*mintmark migrate/s);
  await migrate(environment);
  const server = await startServer({ environment });
  await server.remove();
});

describe('two replicas on one PostgreSQL and one Redis', () => {
  let one: RunningServer;
  let two: RunningServer;

  beforeAll(async () => {
    const environment = await deploy('PostgreSQL', 'Redis');
    one = await startServer({ environment });
    two = await startServer({ environment: { ...environment, MINTMARK_ISSUER: one.url } });
    await putPolicy(one, policy());
    await eventually(async () => expect((await exchange(two.url, 'alpha', one.url)).status).toBe(200));
  });
  afterAll(async () => {
    await one?.remove();
    await two?.remove();
  });

  async function putPolicy(server: RunningServer, text: string): Promise<void> {
    const response = await fetch(`${server.url}/admin/v1/policy`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/yaml' },
      body: text,
    });
    expect(response.status, await response.text()).toBe(200);
  }

  test('a token of one verifies with the keys of the other', async () => {
    expect(await readKeys(two.url)).toEqual(await readKeys(one.url));
    for (const [minter, publisher] of [
      [one, two],
      [two, one],
    ] as const) {
      const { body } = await exchange(minter.url, 'alpha', one.url);
      const keys = createRemoteJWKSet(new URL(`${publisher.url}/.well-known/jwks.json`));
      const options = { issuer: one.url, audience: 'alpha', typ: 'at+jwt' };
      const { payload } = await jwtVerify(String(body.access_token), keys, options);
      expect(payload.sub).toBe(ordersId);
    }
  });

  test('a one-time credential that one took is refused by the other, and of many at once one wins', async () => {
    const token = await oneTimeToken(one.url);
    expect((await present(one.url, token)).status).toBe(200);
    const replayed = await present(two.url, token);
    expect(replayed.status).toBe(401);
    expect(await eventOf(one.url, replayed.body.request_id)).toMatchObject({ reason: 'credential.replayed' });

    const raced = await oneTimeToken(one.url);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => present(index % 2 === 0 ? one.url : two.url, raced)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(19).fill(401)]);
  });

  test('a token that may be reused is given again by the other, and Redis holds none', async () => {
    const first = await exchange(one.url, 'again', one.url);
    const again = await exchange(two.url, 'again', one.url);
    expect(first.status).toBe(200);
    expect(again.body.access_token).toBe(first.body.access_token);
    expect(await eventOf(one.url, first.headers.get('x-request-id'))).not.toHaveProperty('reused');
    expect(await eventOf(one.url, again.headers.get('x-request-id'))).toMatchObject({
      outcome: 'permitted',
      reused: true,
      token_hash: hashOf(String(first.body.access_token)),
    });

    const reader = new Redis(inject('redisUrl') ?? expect.unreachable());
    const names = await reader.keys('mintmark:*');
    const held = await Promise.all(
      names.map(async (name) => (await reader.getBuffer(name))?.toString('latin1')),
    );
    reader.disconnect();
    expect(names.some((name) => name.startsWith('mintmark:tokens:'))).toBe(true);
    for (const part of String(first.body.access_token).split('.')) expect(held.join()).not.toContain(part);
  });

  test('a policy change through one is served by the other within about a second', async () => {
    expect((await exchange(two.url, 'beta', one.url)).status).toBe(200);
    const withoutBeta = policy()
      .split('---')
      .filter((text) => !text.includes('orders-on-beta'))
      .join('---');
    for (const [text, status] of [
      [withoutBeta, 400],
      [policy(), 200],
    ] as const) {
      await putPolicy(one, text);
      expect((await exchange(one.url, 'beta', one.url)).status).toBe(status); // the one that was told, at once
      await eventually(
        async () => expect((await exchange(two.url, 'beta', one.url)).status).toBe(status),
        1_500,
      );
    }
  });

  test('the audit is one: either shows what the other did', async () => {
    const { headers } = await exchange(one.url, 'alpha', one.url);
    expect(await eventOf(two.url, headers.get('x-request-id'))).toMatchObject({ outcome: 'permitted' });
  });

  test('when one is killed, the other goes on', async () => {
    await one.stop('SIGKILL');
    expect((await exchange(two.url, 'alpha', one.url)).status).toBe(200);
    await one.restart();
    expect((await exchange(one.url, 'alpha', one.url)).status).toBe(200);
    expect(await readKeys(one.url)).toEqual(await readKeys(two.url));
  });
});
