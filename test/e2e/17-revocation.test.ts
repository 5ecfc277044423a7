/** Revocations on two real replicas of one PostgreSQL: heard of at once, and never forgotten, whatever is killed. */
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { adminToken, deployWithoutSchema, migrate } from '../support/deployment.ts';
import { type Postgres, startPostgres } from '../support/postgres.ts';
import { type RunningServer, startServer } from '../support/server.ts';
import { jwtSpiffeAssertion, ordersId, postToken, type Story, startStory } from '../support/story.ts';

const runs = 20;

let postgres: Postgres;
let story: Story;
let other: RunningServer;
beforeAll(async () => {
  postgres = await startPostgres();
  const environment: Record<string, string> = {
    ...(await deployWithoutSchema(postgres.url)),
    MINTMARK_ADMIN_TOKEN: adminToken,
  };
  await migrate(environment);
  story = await startStory(environment);
  other = await startServer({ environment: { ...environment, MINTMARK_ISSUER: story.server.url } });
}, 90_000);
afterAll(async () => {
  await other?.remove();
  await story?.close();
  await postgres?.stop();
});

async function mint(): Promise<string> {
  const { status, body } = await postToken(story.server.url, {
    grant_type: 'client_credentials',
    client_assertion_type: jwtSpiffeAssertion,
    client_assertion: await story.svid(ordersId, story.server.url),
    audience: 'alpha',
    scope: 'alpha',
  });
  expect(status).toBe(200);
  return String(body.access_token);
}
/** What a guarded service's proxy is told. */
async function ask({ url }: RunningServer, token: string): Promise<number> {
  const response = await fetch(`${url}/forward-auth/alpha`, {
    headers: { authorization: `Bearer ${token}` },
  });
  await response.text();
  return response.status;
}
async function revoke(token: string): Promise<void> {
  const response = await fetch(`${story.server.url}/admin/v1/revocations`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ jti: decodeJwt(token).jti }),
  });
  expect(response.status).toBe(201);
}

test('is refused where it was made at once, and on the other replica before a second is over', async () => {
  const millis: number[] = [];
  for (let run = 0; run < runs; run++) {
    const token = await mint();
    expect([await ask(story.server, token), await ask(other, token)]).toEqual([200, 200]);
    await revoke(token);
    const madeAt = performance.now();
    expect(await ask(story.server, token)).toBe(401);
    while ((await ask(other, token)) !== 401) expect(performance.now() - madeAt).toBeLessThan(1_000);
    millis.push(performance.now() - madeAt);
  }
  millis.sort((a, b) => a - b);
  console.info(
    `revocation on the other replica, ${runs} runs: median ${millis[runs / 2]?.toFixed(1)} ms, max ${millis.at(-1)?.toFixed(1)} ms`,
  );
}, 90_000);

test('outlives the replica that made it, and a start without the database', async () => {
  const [token, good] = [await mint(), await mint()];
  await revoke(token);
  await story.server.stop('SIGKILL');
  await story.server.restart();
  expect([await ask(story.server, token), await ask(story.server, good)]).toEqual([401, 200]);
  await postgres.kill9();
  await story.server.stop('SIGKILL');
  await story.server.restart();
  expect([await ask(story.server, token), await ask(story.server, good)]).toEqual([401, 200]);
}, 90_000);
