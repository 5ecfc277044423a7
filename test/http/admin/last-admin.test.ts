/** The bootstrap token that is off, and the last admin, whom no change over REST can remove. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openHouse, type TestHouse } from '../../support/house.ts';
import { putPolicy } from './admin-calls.ts';
import { type AdminStory, adminGrant, adminToken, callWith, tellAdminStory } from './admin-story.ts';

const warning = 'nobody can change the policy over REST';
const second = adminGrant({ subjects: [{ spiffeId: 'spiffe://prod.test/second' }] }, 'second');

let story: AdminStory;
let folder: string;
let house: TestHouse;
let token: string;

/** The first start has the bootstrap token, which makes the first admin; the second start has it off. */
beforeAll(async () => {
  story = await tellAdminStory();
  folder = mkdtempSync(join(tmpdir(), 'mintmark-last-admin-'));
  const environment = { MINTMARK_DATA_DIR: join(folder, 'data') };
  const first = await openHouse(story.documents, environment);
  expect((await putPolicy(first.app, [adminGrant()])).statusCode).toBe(200);
  await first.close();
  house = await openHouse(story.documents, { ...environment, MINTMARK_ADMIN_TOKEN: 'off' });
  token = await adminToken(story, house.app);
});
afterAll(async () => {
  await house.close();
  rmSync(folder, { recursive: true, force: true });
});

const call = (method: 'PUT' | 'DELETE' | 'GET' | 'POST', url: string, body?: object) =>
  callWith(house.app, token, url, {
    method,
    ...(body === undefined
      ? {}
      : { headers: { 'content-type': 'application/json' }, payload: JSON.stringify(body) }),
  });
const eventOf = async (response: { headers: Record<string, unknown> }) =>
  (await call('GET', `/audit-events/${response.headers['x-request-id']}`)).json();

it('starts without a warning where a grant names an admin', () => {
  expect(house.log()).not.toContain(warning);
});

it.each<[string, 'PUT' | 'DELETE' | 'POST', string, object?]>([
  ['goes back to before it', 'POST', '/policy/revisions/1/rollback'],
  ['deletes the grant', 'DELETE', '/grants/admins'],
  ['deletes it in a dry run', 'DELETE', '/grants/admins?dryRun=true'],
  ['takes a scope from it', 'PUT', '/grants/admins', adminGrant({ scopes: ['policy:write', 'policy:read'] })],
  ['lets it end', 'PUT', '/grants/admins', adminGrant({ notAfter: '2099-01-01T00:00:00Z' })],
  [
    'gives it to nobody that is vouched for',
    'PUT',
    '/grants/admins',
    adminGrant({ subjects: [{ spiffeId: 'spiffe://mintmark.test/nobody/1' }] }),
  ],
  ['replaces the policy without it', 'PUT', '/policy', { documents: [] }],
  ['replaces the policy without it in a dry run', 'PUT', '/policy?dryRun=true', { documents: [] }],
])('refuses a change that %s', async (_, method, url, body) => {
  const before = (await call('GET', '/policy')).json().revision;
  const response = await call(method, url, body);
  expect(response.statusCode).toBe(422);
  expect(response.json()).toMatchObject({
    type: 'urn:mintmark:problem:policy-refused',
    problems: [
      {
        document: 'policy',
        field: '',
        message: expect.stringContaining('nobody could change the policy any more'),
      },
    ],
  });
  expect(await eventOf(response)).toMatchObject({ outcome: 'refused', reason: 'admin.policy_refused' });
  expect((await call('GET', '/policy')).json().revision).toBe(before);
});

it('may go once there is another', async () => {
  expect((await call('PUT', '/grants/second', second)).statusCode).toBe(201);
  expect((await call('DELETE', '/grants/admins')).statusCode).toBe(204);
  expect((await call('GET', '/policy')).statusCode).toBe(401);
  token = await adminToken(story, house.app, undefined, 'spiffe://prod.test/second');
  expect((await call('GET', '/policy')).statusCode).toBe(200);
});

it('starts and serves with a warning where there is no admin at all', async () => {
  const closed = await openHouse(story.documents, { MINTMARK_ADMIN_TOKEN: 'off' });
  try {
    expect(closed.log()).toContain(warning);
    expect((await story.ask(closed.app, ['alpha'], 'alpha')).statusCode).toBe(200);
  } finally {
    await closed.close();
  }
});
