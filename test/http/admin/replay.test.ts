/** A dry run that decides recent exchanges again. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openHouse, postForm, type TestHouse } from '../../support/house.ts';
import { orders, tellStory } from '../token/story.ts';
import { callAdmin, putPolicy, resource } from './admin-calls.ts';

const audience = 'https://one.test';
const grant = {
  ...resource('orders-one'),
  kind: 'Grant',
  spec: { subjects: [{ spiffeId: orders }], resource: 'one', scopes: ['items:read'] },
};
const allowing = [resource('one'), grant];
let story: Awaited<ReturnType<typeof tellStory>>;
let house: TestHouse;
beforeAll(async () => {
  story = await tellStory();
  house = await openHouse(story.documents);
});
afterAll(() => house.close());

const exchange = async () =>
  postForm(house.app, {
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: await story.svid(),
    audience,
    scope: 'items:read',
  });
const plan = async (documents: readonly object[], query = '?dryRun=true&replay=100') =>
  putPolicy(house.app, documents, { query });

it('says which attempts would newly be permitted and refused, and changes nothing', async () => {
  expect((await putPolicy(house.app, [resource('one')])).statusCode).toBe(200);
  const refused = await exchange();
  expect(refused.statusCode).toBe(400);
  const { request_id: requestId } = refused.json();
  const opened = await plan(allowing);
  expect(opened.statusCode).toBe(200);
  expect(opened.json().replay).toEqual({
    looked_at: 1,
    newly_permitted: [
      {
        request_id: requestId,
        identity: orders,
        audience,
        before: 'policy.no_grant',
        after: 'permitted',
        count: 1,
      },
    ],
    newly_permitted_total: 1,
    newly_refused: [],
    newly_refused_total: 0,
    unknown: 0,
  });

  expect((await putPolicy(house.app, allowing)).statusCode).toBe(200);
  expect((await exchange()).statusCode).toBe(200);
  expect((await exchange()).statusCode).toBe(200);
  const same = (await plan(allowing)).json().replay;
  expect(same).toEqual({
    looked_at: 3,
    newly_permitted: [],
    newly_permitted_total: 0,
    newly_refused: [],
    newly_refused_total: 0,
    unknown: 0,
  });
  const closed = (await plan([resource('one')])).json().replay;
  expect(closed.newly_refused).toMatchObject([{ before: 'permitted', after: 'policy.no_grant', count: 3 }]);
  const latest = await plan([resource('one')], '?dryRun=true&replay=2');
  expect(latest.json().replay).toMatchObject({ looked_at: 2, newly_refused: [{ count: 2 }] });
  expect((await exchange()).statusCode).toBe(200);
});

it('is made only where it is asked for, and only in a dry run', async () => {
  for (const query of ['?dryRun=true', '?dryRun=true&replay=0']) {
    const answer = await plan(allowing, query);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).not.toHaveProperty('replay');
  }
  for (const query of ['?replay=1', '?dryRun=true&replay=1001', '?dryRun=true&replay=-1']) {
    const answer = await plan([], query);
    expect(answer.statusCode).toBe(400);
    expect(answer.json().type).toBe('urn:mintmark:problem:malformed-request');
  }
  expect((await callAdmin(house.app, '/policy')).body).toContain('orders-one');
});
