/** Values that PostgreSQL, JSON or a reader could choke on: each event is kept, and none takes its neighbours along. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tellStory } from '../../http/token/story.ts';
import { newAddress, openHouse, type TestHouse, testIssuer } from '../../support/house.ts';
import { signToken, times } from '../../support/tokens.ts';

const poisons = [
  'a\u0000b',
  '\ud800',
  `${'x'.repeat(511)}\u{1f600}`, // cut in the middle of a pair
  '"},"outcome":"permitted","x":{"',
  "'); drop table audit_events; --",
  '\n{"level":30,"msg":"token request permitted"}',
];

let house: TestHouse;
let story: Awaited<ReturnType<typeof tellStory>>;
beforeAll(async () => {
  story = await tellStory();
  const noted = story.documents.map((document) =>
    document.metadata.name === 'once'
      ? { ...document, spec: { ...document.spec, replay: 'allow', auditClaims: ['note'] } }
      : document,
  );
  house = await openHouse(noted);
});
afterAll(() => house.close());

const ask = async (body: object, note: string) => {
  const token = await signToken(story.clusterKey, {
    iss: 'https://once.test',
    sub: 'job-1',
    aud: testIssuer,
    note,
    ...times(300),
  });
  return await house.app.inject({
    method: 'POST',
    url: '/api/v1/token',
    remoteAddress: newAddress(),
    headers: { authorization: token },
    payload: body,
  });
};

describe('a batch of events with poison among them', () => {
  it('is kept whole, each event as it was meant', async () => {
    const permitted = poisons.map((note) => ask({ audience: 'alpha' }, note));
    const refused = poisons.map((audience) => ask({ audience }, 'harmless'));
    const responses = await Promise.all([...permitted, ...refused]); // together, so that they share an insert
    expect(responses.map(({ statusCode }) => statusCode)).toEqual([
      ...poisons.map(() => 200),
      ...poisons.map(() => 400),
    ]);
    const events = await Promise.all(
      responses.map(({ headers }) => house.eventOf(String(headers['x-request-id']))),
    );
    expect(events.slice(0, poisons.length).map(({ claims }) => claims)).toEqual(
      poisons.map((note) => ({ note })),
    );
    for (const [index, event] of events.slice(poisons.length).entries()) {
      expect(event).toMatchObject({ outcome: 'refused', reason: 'policy.unknown_resource' });
      expect(String(event.audience).slice(0, 5)).toBe(poisons[index]?.slice(0, 5));
    }
  });

  it('writes one line of log for each refusal, whatever the caller sends', async () => {
    const before = house.log();
    await ask({ audience: poisons[5] }, 'harmless');
    const lines = house.log().slice(before.length).trimEnd().split('\n');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(String(lines[0]))).toMatchObject({ reason: 'policy.unknown_resource' });
  });
});
