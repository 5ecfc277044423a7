/** Outages under load, with real processes: callers count what they got, the database counts what it recorded. */
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { adminToken, deployWithoutSchema, migrate } from '../support/deployment.ts';
import { callers, expectAllRecorded, startLoad } from '../support/load.ts';
import { type Postgres, startPostgres } from '../support/postgres.ts';
import { onServer } from '../support/postgres-client.ts';
import { startRedis } from '../support/redis.ts';
import { type Story, startStory } from '../support/story.ts';

let postgres: Postgres;
let story: Story | undefined;

beforeAll(async () => {
  postgres = await startPostgres();
  return () => postgres.stop();
});
afterEach(async () => {
  await story?.close();
  story = undefined;
});

async function deployHere(more: Record<string, string> = {}) {
  const deployed = await deployWithoutSchema(postgres.url);
  const environment: Record<string, string> = { ...deployed, MINTMARK_ADMIN_TOKEN: adminToken, ...more };
  await migrate(environment);
  story = await startStory(environment);
  return { story, databaseUrl: String(environment.DATABASE_URL) };
}

const readiness = async (url: string) => {
  const response = await fetch(`${url}/readyz`);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

describe('outages under load', () => {
  test('PostgreSQL killed with -9 and started again: no exchange fails, issued == recorded', async () => {
    const { story, databaseUrl } = await deployHere();
    const load = await startLoad(story, story.server.url);
    await load.pass(200);
    await postgres.kill9();
    await load.pass(500);
    expect(await readiness(story.server.url)).toMatchObject({
      status: 200,
      body: { status: 'degraded', checks: { database: 'unavailable', audit_spool: 'ok' } },
    });
    await postgres.restart();
    await load.pass(300);
    await load.stop();
    expect(load.failures).toEqual([]);
    const recorded = await expectAllRecorded(databaseUrl, load.issued);
    expect(recorded).toBe(load.issued.size);
    console.info(`PostgreSQL kill -9: ${load.issued.size} issued, 0 failures, ${recorded} recorded`);
  }, 90_000);

  test('PostgreSQL that stops answering: exchanges wait a moment, then go on, issued == recorded', async () => {
    const { story, databaseUrl } = await deployHere();
    const load = await startLoad(story, story.server.url);
    await load.pass(200);
    await postgres.pause();
    await load.pass(500);
    await postgres.resume();
    await load.pass(200);
    await load.stop();
    expect(load.failures).toEqual([]);
    const recorded = await expectAllRecorded(databaseUrl, load.issued);
    expect(recorded).toBe(load.issued.size);
    console.info(`PostgreSQL SIGSTOP: ${load.issued.size} issued, 0 failures, ${recorded} recorded`);
  }, 90_000);

  test('our replica killed with -9 while PostgreSQL is away: what it issued is recorded after its start', async () => {
    const { story, databaseUrl } = await deployHere();
    const load = await startLoad(story, story.server.url);
    await load.pass(200);
    await postgres.kill9();
    await load.pass(300);
    await story.server.stop('SIGKILL');
    await load.stop();
    await postgres.restart();
    await story.server.restart();
    const recorded = await expectAllRecorded(databaseUrl, load.issued);
    // A token that was recorded and whose answer the kill cut off is the one difference that there may be.
    expect(recorded - load.issued.size).toBeLessThanOrEqual(callers);
    console.info(`replica and PostgreSQL kill -9: ${load.issued.size} issued, ${recorded} recorded`);
  }, 90_000);

  test('a replica that starts while PostgreSQL is away goes on from its disk, and catches up later', async () => {
    const { story, databaseUrl } = await deployHere();
    const before = await startLoad(story, story.server.url);
    await before.pass(100);
    await before.stop();
    const jwks = await (await fetch(`${story.server.url}/.well-known/jwks.json`)).json();
    await story.server.stop();
    await postgres.kill9();
    await story.server.restart();
    expect(await readiness(story.server.url)).toMatchObject({ status: 200, body: { status: 'degraded' } });
    expect(await (await fetch(`${story.server.url}/.well-known/jwks.json`)).json()).toEqual(jwks);
    const load = await startLoad(story, story.server.url);
    await load.pass(300);
    await postgres.restart();
    await load.pass(300);
    await load.stop();
    expect([...before.failures, ...load.failures]).toEqual([]);
    const issued = new Set([...before.issued, ...load.issued]);
    expect(await expectAllRecorded(databaseUrl, issued)).toBe(issued.size);
    await expect
      .poll(
        async () =>
          (await onServer(databaseUrl, `select 1 from audit_events where action = 'admin.policy.apply_file'`))
            .rows.length,
        { timeout: 10_000 },
      )
      .toBe(2);
    console.info(
      `start without PostgreSQL: ${load.issued.size} issued, 0 failures, ${issued.size} recorded in all`,
    );
  }, 90_000);

  test('with MINTMARK_AUDIT_ON_OUTAGE=deny nothing is issued meanwhile, and the caller is told to come again', async () => {
    const { story, databaseUrl } = await deployHere({ MINTMARK_AUDIT_ON_OUTAGE: 'deny' });
    const load = await startLoad(story, story.server.url);
    await load.pass(200);
    await postgres.kill9();
    await load.pass(200);
    expect((await readiness(story.server.url)).status).toBe(503);
    await postgres.restart();
    await load.pass(200);
    await load.stop();
    expect(load.failures.length).toBeGreaterThan(0);
    for (const failure of load.failures) {
      expect(failure).toMatchObject({ status: 503, body: { error: 'temporarily_unavailable' } });
    }
    // What was recorded when the connection broke, and withheld because nobody could know.
    const recorded = await expectAllRecorded(databaseUrl, load.issued);
    expect(recorded - load.issued.size).toBeLessThanOrEqual(callers);
  }, 90_000);

  test.each(['killed with -9', 'held still'] as const)(
    'Redis %s: no exchange fails',
    async (how) => {
      const redis = await startRedis();
      try {
        const { story, databaseUrl } = await deployHere({ REDIS_URL: redis.url });
        const load = await startLoad(story, story.server.url);
        await load.pass(200);
        if (how === 'held still') redis.pause();
        else await redis.kill9();
        await load.pass(500);
        expect(await readiness(story.server.url)).toMatchObject({
          status: 200,
          body: { status: 'degraded' },
        });
        if (how === 'held still') redis.resume();
        else await redis.restart();
        await expect
          .poll(async () => (await readiness(story.server.url)).body.status, { timeout: 10_000 })
          .toBe('ready');
        await load.stop();
        expect(load.failures).toEqual([]);
        const recorded = await expectAllRecorded(databaseUrl, load.issued);
        expect(recorded).toBe(load.issued.size);
        console.info(`Redis ${how}: ${load.issued.size} issued, 0 failures, ${recorded} recorded`);
      } finally {
        await redis.stop();
      }
    },
    90_000,
  );
});
