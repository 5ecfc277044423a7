/** Two replicas behind nginx by the very file of deploy/nginx, as docker-compose.yml has them: one address, though either may leave. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { adminToken, deploy } from '../support/deployment.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { eventually, freePort } from '../support/processes.ts';
import { type RunningServer, startServer } from '../support/server.ts';
import {
  auditEvent,
  jwtSpiffeAssertion,
  ordersId,
  policyOf,
  startWorld,
  type World,
} from '../support/story.ts';

const shipped = readFileSync(new URL('../../deploy/nginx/mintmark.conf', import.meta.url), 'utf8');
const callers = 8;

let world: World;
let one: RunningServer;
let two: RunningServer;
let nginx: Nginx;
let front: string;

beforeAll(async () => {
  world = await startWorld();
  const port = await freePort();
  front = `http://127.0.0.1:${port}`;
  const environment = {
    ...(await deploy('PostgreSQL', 'Redis')),
    MINTMARK_ISSUER: front,
    MINTMARK_TRUSTED_PROXIES: '127.0.0.1',
  };
  const policy = () => policyOf(world);
  one = await startServer({ policy, environment });
  two = await startServer({ policy, environment });
  nginx = await startNginx({
    port,
    upstream: () =>
      replaceAll(shipped, {
        'mintmark-1:8080': new URL(one.url).host,
        'mintmark-2:8080': new URL(two.url).host,
        'listen 8080': `listen 127.0.0.1:${port}`,
      }),
  });
});
afterAll(async () => {
  await nginx?.close();
  await one?.remove();
  await two?.remove();
  await world?.close();
});

/** Every placeholder must be there, or the file that is tested is not the file that is shipped. */
function replaceAll(text: string, replacements: Record<string, string>): string {
  return Object.entries(replacements).reduce((changed, [placeholder, value]) => {
    expect(changed).toContain(placeholder);
    return changed.replaceAll(placeholder, () => value);
  }, text);
}

const form = async () => ({
  grant_type: 'client_credentials',
  client_assertion_type: jwtSpiffeAssertion,
  client_assertion: await world.svid(ordersId, front),
  audience: 'alpha',
  scope: 'alpha',
});

/** Not read as JSON: what nginx itself answers is a page. */
async function statusOf(sent: Record<string, string>): Promise<number> {
  const response = await fetch(`${front}/oauth/token`, { method: 'POST', body: new URLSearchParams(sent) });
  await response.arrayBuffer();
  return response.status;
}

async function permittedBy({ url }: RunningServer): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^mintmark_exchanges_total\{outcome="permitted",reason=""\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

test('both replicas serve, under one issuer', async () => {
  const before = await Promise.all([one, two].map(permittedBy));
  const sent = await form();
  for (let call = 0; call < 10; call += 1) expect(await statusOf(sent)).toBe(200);
  const after = await Promise.all([one, two].map(permittedBy));
  const served = after.map((count, index) => count - (before[index] ?? 0));
  expect(served.reduce((sum, count) => sum + count)).toBe(10);
  for (const count of served) expect(count).toBeGreaterThan(0);
});

test('the audit has the address that nginx saw, not the one that its client wrote', async () => {
  const response = await fetch(`${front}/oauth/token`, {
    method: 'POST',
    headers: { 'x-forwarded-for': '203.0.113.9' },
    body: new URLSearchParams(await form()),
  });
  expect(response.status).toBe(200);
  const requestId = response.headers.get('x-request-id') ?? '';
  expect(await auditEvent(front, adminToken, requestId)).toMatchObject({
    outcome: 'permitted',
    remote_address: '127.0.0.1',
  });
});

test('metrics and the answers to other proxies are the inside of the house', async () => {
  for (const path of ['/metrics', '/forward-auth', '/forward-auth/alpha']) {
    expect((await fetch(`${front}${path}`)).status, path).toBe(404);
  }
  expect((await fetch(`${front}/readyz`)).status).toBe(200);
  expect((await fetch(`${one.url}/metrics`)).status).toBe(200);
});

test('each replica is restarted in turn under load, and no request fails', async () => {
  const sent = await form();
  let isOver = false;
  const statuses: number[] = [];
  const call = async () => {
    while (!isOver) statuses.push(await statusOf(sent));
  };
  const load = Array.from({ length: callers }, call);
  for (const replica of [one, two]) {
    const before = statuses.length;
    await eventually(async () => expect(statuses.length).toBeGreaterThan(before + 100));
    expect(await replica.stop('SIGTERM')).toBe(0);
    const alone = statuses.length;
    await eventually(async () => expect(statuses.length).toBeGreaterThan(alone + 100));
    await replica.restart();
  }
  isOver = true;
  await Promise.all(load);
  expect(statuses.length).toBeGreaterThan(400);
  expect(statuses.filter((status) => status !== 200)).toEqual([]);
}, 120_000);

test('after a replica was killed, every new request is served by the other', async () => {
  await one.stop('SIGKILL');
  const sent = await form();
  for (let call = 0; call < 20; call += 1) expect(await statusOf(sent)).toBe(200);
  await one.restart();
});
