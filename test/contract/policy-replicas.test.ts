/** Two replicas on one PostgreSQL: no change is lost, each hears of the other's at once, and an outage takes no policy away. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openPostgres, type SqlStores } from '../../src/adapters/postgres/open.ts';
import { adminAudience } from '../../src/core/policy/admin-resource.ts';
import { createPolicyBook, type PolicyBook } from '../../src/core/policy/book.ts';
import { callAdmin, putPolicy, resource } from '../http/admin/admin-calls.ts';
import { deploy } from '../support/deployment.ts';
import { openHouse, type TestHouse, testAdminToken } from '../support/house.ts';
import { type Postgres, startPostgres } from '../support/postgres.ts';
import { policyEvent, testClock } from './backends.ts';

describe('two houses', () => {
  let houses: [TestHouse, TestHouse];
  beforeAll(async () => {
    const environment = {
      ...(await deploy('PostgreSQL', 'memory')),
      MINTMARK_ADMIN_TOKEN: testAdminToken,
    };
    houses = [await openHouse([], environment), await openHouse([], environment)];
  });
  afterAll(() => Promise.all((houses ?? []).map((house) => house.close())));

  const readPolicy = async (house: TestHouse) => (await callAdmin(house.app, '/policy')).json();

  test('24 writers at once lose no change that was accepted', { timeout: 120_000 }, async () => {
    let refusals = 0;
    /** Adds the document to the whole policy as this writer read it, anew until nobody came between. */
    async function putWhole(house: TestHouse, body: ReturnType<typeof resource>): Promise<number> {
      for (;;) {
        const { documents, revision } = await readPolicy(house);
        const others = documents.filter(
          ({ metadata }: { metadata: { name: string } }) => metadata.name !== body.metadata.name,
        );
        const answer = await putPolicy(house.app, [...others, body], {
          headers: { 'if-match': `"${revision}"` },
        });
        if (answer.statusCode === 200) return answer.json().revision;
        expect([answer.statusCode, answer.json().type]).toEqual([
          412,
          'urn:mintmark:problem:revision-conflict',
        ]);
        refusals += 1;
      }
    }
    async function putOne(house: TestHouse, body: ReturnType<typeof resource>): Promise<number> {
      for (;;) {
        const url = `/resources/${body.metadata.name}`;
        const answer = await callAdmin(house.app, url, { method: 'PUT', payload: body });
        if (answer.statusCode < 300) return answer.json().revision;
        expect([answer.statusCode, answer.json().type]).toEqual([503, 'urn:mintmark:problem:unavailable']);
      }
    }
    const accepted: { revision: number; name: string; lifetime: string }[] = [];
    await Promise.all(
      Array.from({ length: 24 }, async (_, writer) => {
        const name = `writer-${writer}`;
        const [house, put] = [houses[writer % 2 === 0 ? 0 : 1], writer < 12 ? putWhole : putOne];
        for (const lifetime of ['5m', '6m']) {
          const revision = await put(house, resource(name, { tokenLifetime: lifetime }));
          accepted.push({ revision, name, lifetime });
        }
      }),
    );
    console.log(`24 writers, 48 changes accepted, ${refusals} refused with 412 and sent again`);
    expect(refusals).toBeGreaterThan(0);
    const revisions = accepted.map(({ revision }) => revision).sort((a, b) => a - b);
    expect(revisions).toEqual(Array.from({ length: 48 }, (_, index) => index + 1));
    for (const house of houses) {
      const { revision, documents } = await readPolicy(house);
      expect(revision).toBe(48);
      const written = documents.map((each: ReturnType<typeof resource>) => each.metadata.name).sort();
      expect(written).toEqual(Array.from({ length: 24 }, (_, writer) => `writer-${writer}`).sort());
      for (const { spec } of documents) expect(spec.tokenLifetime).toBe('6m');
    }
    for (const { revision, name, lifetime } of accepted) {
      const { diff } = (await callAdmin(houses[0].app, `/policy/revisions/${revision}`)).json();
      const named = { kind: 'Resource', name };
      expect(diff).toEqual(
        lifetime === '5m'
          ? { added: [named], removed: [], changed: [] }
          : {
              added: [],
              removed: [],
              changed: [{ ...named, fields: [{ field: 'spec.tokenLifetime', before: '5m', after: '6m' }] }],
            },
      );
    }
  });

  test('each serves a revision of the other within one second', async () => {
    const [writer, reader] = houses;
    const served = async () => (await callAdmin(reader.app, '/status')).json().policy.revision;
    const lags: number[] = [];
    for (let change = 0; change < 11; change += 1) {
      const answer = await putPolicy(writer.app, [resource(`seen-${change}`)]);
      expect(answer.statusCode).toBe(200);
      const started = performance.now();
      while ((await served()) < answer.json().revision) await sleep(2);
      lags.push(Math.round(performance.now() - started));
    }
    const [median = Number.NaN] = lags.toSorted((a, b) => a - b).slice(5);
    console.log(`a revision reaches the other replica after ${lags.join(', ')} ms; median ${median} ms`);
    expect(median).toBeLessThan(1_000);
  });
});

describe('PostgreSQL killed with -9', () => {
  const clock = testClock();
  let postgres: Postgres;
  let stores: SqlStores[] = [];
  let stopWatching: (() => void)[] = [];
  const problems: unknown[] = [];

  beforeAll(async () => {
    postgres = await startPostgres();
    const url = await postgres.createDatabase();
    stores = [await openPostgres({ url, clock }), await openPostgres({ url, clock })];
    await stores[0]?.migrate();
  });
  afterAll(async () => {
    for (const stop of stopWatching) stop();
    await Promise.all(stores.map((opened) => opened.close()));
    await postgres?.stop();
  });

  test('every replica keeps the policy it had, and then serves the next', { timeout: 90_000 }, async () => {
    const context = {
      issuer: 'https://sts.test',
      trustDomain: 'mintmark.test',
      tokenEndpoint: '',
      platforms: [],
    };
    const books = stores.map(({ policy }) =>
      createPolicyBook({ store: policy, context, clock, onProblem: (error) => problems.push(error) }),
    );
    const [writer] = books as [PolicyBook, PolicyBook];
    const write = (name: string) =>
      writer.replace([{ value: resource(name), managedBy: 'rest', locate: () => ({}) }], {
        managedBy: 'rest',
        author: 'test',
        permit: () => {},
        event: () => policyEvent(clock.now()),
      });
    const served = () =>
      books.map((book) => {
        const { revision, resourcesByAudience } = book.current();
        return [revision, ...resourcesByAudience.keys()];
      });
    for (const book of books) await book.refresh();
    stopWatching = books.map((book) => book.watch({ pollMillis: 1_000 }));
    await write('first');
    const builtIn = [adminAudience(context.issuer), context.issuer];
    const first = [1, 'https://first.test', ...builtIn];
    await expect.poll(served, { timeout: 5_000 }).toEqual([first, first]);
    expect(problems).toEqual([]);

    await postgres.kill9();
    await expect(write('lost')).rejects.toThrow();
    for (let looks = 0; looks < 30; looks += 1) {
      expect(served()).toEqual([first, first]);
      await sleep(100);
    }
    expect(problems.length).toBeGreaterThan(0); // they did try to read

    await postgres.restart();
    await expect.poll(() => write('second').then(() => 'made', String), { timeout: 20_000 }).toBe('made');
    const restarted = performance.now();
    const second = [2, 'https://second.test', ...builtIn];
    await expect.poll(served, { timeout: 20_000, interval: 10 }).toEqual([second, second]);
    console.log(
      `after the outage the next revision is served after ${Math.round(performance.now() - restarted)} ms`,
    );
  });
});
