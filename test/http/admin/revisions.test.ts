/** The policy's history over REST: reading it, and going back to what the policy was. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openHouse, type TestHouse } from '../../support/house.ts';
import { openAdminAlone } from './admin-alone.ts';
import { callAdmin, putPolicy, resource } from './admin-calls.ts';

const ofFile = resource('of-file');
let house: TestHouse;
/** The revision that each test starts from. */
let start: number;
beforeAll(async () => {
  house = await openHouse([ofFile]);
});
afterAll(() => house.close());
beforeEach(async () => {
  start = await make(resource('inventory'));
});

const get = (path: string) => callAdmin(house.app, `/policy/revisions${path}`);
const read = async () => (await callAdmin(house.app, '/policy')).json();
const rollBack = (revision: number | string, headers: Record<string, string> = {}, query = '') =>
  callAdmin(house.app, `/policy/revisions/${revision}/rollback${query}`, { method: 'POST', headers });

const byName = (documents: readonly { metadata: { name: string } }[]) =>
  documents.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));

async function make(...documents: readonly object[]): Promise<number> {
  const response = await putPolicy(house.app, documents, { query: '?reason=because' });
  expect(response.statusCode).toBe(200);
  return response.json().revision;
}

describe('GET /admin/v1/policy/revisions', () => {
  it('lists who changed the policy, when and why, newest first, page by page', async () => {
    const latest = await make(resource('orders'));
    const first = (await get('?limit=2')).json();
    expect(first.revisions).toEqual([
      {
        revision: latest,
        at: new Date(house.clock.now()).toISOString(),
        author: 'bootstrap',
        reason: 'because',
      },
      expect.objectContaining({ revision: latest - 1 }),
    ]);
    const seen = [...first.revisions];
    let cursor: string | undefined = first.next_cursor;
    while (cursor !== undefined) {
      const page = (await get(`?limit=2&cursor=${cursor}`)).json();
      seen.push(...page.revisions);
      cursor = page.next_cursor;
    }
    const numbers = seen.map(({ revision }) => revision);
    expect(numbers).toEqual(Array.from({ length: latest }, (_, index) => latest - index));
    expect(seen.at(-1)).toMatchObject({ revision: 1, author: 'file' });
  });

  it('finds changes by author and by time', async () => {
    const now = house.clock.now();
    house.clock.set(now + 60_000);
    const latest = await make(resource('orders'));
    house.clock.set(now);
    const list = async (query: Record<string, string>) =>
      (await get(`?${new URLSearchParams(query)}`)).json().revisions;
    const iso = (millis: number) => new Date(millis).toISOString();
    expect(await list({ since: iso(now + 60_000) })).toMatchObject([{ revision: latest }]);
    expect((await list({ until: iso(now + 60_000) }))[0].revision).toBe(latest - 1);
    expect(await list({ since: '9999-12-31T23:59:59-14:00' })).toEqual([]);
    expect(await list({ until: '0000-01-01T00:00:00+14:00' })).toEqual([]);
    expect(await list({ author: 'file' })).toMatchObject([{ revision: 1, author: 'file' }]);
    expect(await list({ author: 'nobody' })).toEqual([]);
  });

  it.each(['limit=0', 'limit=201', 'cursor=MDA', 'cursor=%27', 'since=yesterday', 'author=', 'colour=red'])(
    'refuses %s',
    async (query) => {
      const refused = await get(`?${query}`);
      expect(refused.statusCode).toBe(400);
      expect(refused.json().type).toBe('urn:mintmark:problem:malformed-request');
      expect(await house.eventOf(refused.json().request_id)).toMatchObject({
        action: 'admin.revisions.list',
        reason: 'request.malformed',
      });
    },
  );
});

describe('GET /admin/v1/policy/revisions/{revision}', () => {
  it('says what it changed, field by field', async () => {
    const latest = await make(resource('inventory', { tokenLifetime: '5m' }), resource('orders'));
    const response = await get(`/${latest}`);
    expect(response.headers['cache-control']).toBe('no-store');
    expect(response.json()).toEqual({
      revision: latest,
      at: expect.any(String),
      author: 'bootstrap',
      reason: 'because',
      diff: {
        added: [{ kind: 'Resource', name: 'orders' }],
        removed: [],
        changed: [
          { kind: 'Resource', name: 'inventory', fields: [{ field: 'spec.tokenLifetime', after: '5m' }] },
        ],
      },
    });
  });

  it('gives the whole policy as it was, which can be read later still', async () => {
    const before = await read();
    await make(resource('orders'));
    await make();
    const {
      at: _at,
      author: _author,
      reason: _reason,
      ...then
    } = (await get(`/${start}?view=documents`)).json();
    expect({ ...then, documents: byName(then.documents) }).toEqual({
      ...before,
      documents: byName(before.documents),
    });
    expect(then.managed_by_file).toEqual([{ kind: 'Resource', name: 'of-file' }]);
  });

  it('finds none above the current one', async () => {
    for (const path of [`/${start + 1}`, `/${start + 1}?view=documents`, '/999999999999999']) {
      const missing = await get(path);
      expect(missing.statusCode).toBe(404);
      expect(await house.eventOf(missing.json().request_id)).toMatchObject({ reason: 'admin.not_found' });
    }
    for (const path of ['/0', '/-1', '/1e3', '/01', '/1234567890123456', '/1?view=all']) {
      expect((await get(path)).statusCode).toBe(400);
    }
  });
});

describe('POST /admin/v1/policy/revisions/{revision}/rollback', () => {
  it('makes a new revision that says what the old one said', async () => {
    const before = await read();
    const latest = await make(resource('inventory', { tokenLifetime: '5m' }), resource('orders'));
    const response = await rollBack(start, { 'if-match': `"${latest}"` });
    expect(response.statusCode).toBe(200);
    expect(response.headers.etag).toBe(`"${latest + 1}"`);
    expect(response.json()).toEqual({
      revision: latest + 1,
      diff: {
        added: [],
        removed: [{ kind: 'Resource', name: 'orders' }],
        changed: [
          { kind: 'Resource', name: 'inventory', fields: [{ field: 'spec.tokenLifetime', before: '5m' }] },
        ],
      },
      warnings: [],
    });
    const after = await read();
    expect(after).toEqual({ ...before, revision: latest + 1, documents: expect.any(Array) });
    expect(after.documents).toEqual(expect.arrayContaining(before.documents));
    expect(after.documents).toHaveLength(before.documents.length);
    expect((await get(`/${latest + 1}`)).json()).toMatchObject({
      author: 'bootstrap',
      reason: `rollback to ${start}`,
    });
    expect(await house.eventOf(String(response.headers['x-request-id']))).toMatchObject({
      action: 'admin.policy.rollback',
      outcome: 'permitted',
      actor: 'bootstrap',
      summary: `0 added, 1 changed, 1 removed; now at revision ${latest + 1}; reason: rollback to ${start}`,
    });
    const there = (await callAdmin(house.app, '/status')).json();
    expect(there.policy).toMatchObject({ revision: latest + 1, documents: { Resource: 2 } });
  });

  it('can itself be rolled back, and to the current revision changes nothing', async () => {
    const latest = await make(resource('orders'));
    expect((await rollBack(start)).json().revision).toBe(latest + 1);
    expect((await rollBack(latest)).json().revision).toBe(latest + 2);
    const same = (await rollBack(latest + 2)).json();
    expect(same).toMatchObject({ revision: latest + 2, diff: { added: [], removed: [], changed: [] } });
  });

  it('only says what would change in a dry run', async () => {
    await make(resource('orders'));
    const before = await read();
    const shown = await rollBack(start, {}, '?dryRun=true');
    expect(shown.json()).toMatchObject({
      revision: before.revision,
      diff: {
        added: [{ kind: 'Resource', name: 'inventory' }],
        removed: [{ kind: 'Resource', name: 'orders' }],
      },
    });
    expect(shown.headers.etag).toBeUndefined();
    expect(await read()).toEqual(before);
    expect((await house.eventOf(String(shown.headers['x-request-id']))).summary).toBe(
      `dry run: 1 added, 0 changed, 1 removed; reason: rollback to ${start}`,
    );
  });

  it('refuses a policy that has moved on, and a revision that there is not', async () => {
    const latest = await make(resource('orders'));
    const before = await read();
    for (const [refused, status, reason] of [
      [await rollBack(start, { 'if-match': `"${start}"` }), 412, 'admin.revision_conflict'],
      [await rollBack(latest + 1), 404, 'admin.not_found'],
      [await rollBack(0), 400, 'request.malformed'],
      [await rollBack(start, {}, '?dryrun=true'), 400, 'request.malformed'],
      [await rollBack(start, { 'if-match': 'W/"1"' }), 400, 'request.malformed'],
    ] as const) {
      expect(refused.statusCode).toBe(status);
      expect(await house.eventOf(refused.json().request_id)).toMatchObject({ outcome: 'refused', reason });
    }
    expect(await read()).toEqual(before);
  });

  it('leaves alone what the file manages, and refuses to go back behind a change of it', async () => {
    const first = 1; // the file's own
    await make(resource('orders'));
    const taken = await rollBack(first);
    expect(taken.statusCode).toBe(200);
    expect((await read()).documents).toEqual([ofFile]);
    const { app, stores } = await openAdminAlone();
    const stored = (name: string, managedBy: 'rest' | 'file', spec = {}) =>
      ({ kind: 'Resource', name, managedBy, body: resource(name, spec) }) as const;
    const policies = [
      [stored('of-file', 'file'), stored('a', 'rest')],
      [stored('of-file', 'file', { tokenLifetime: '5m' }), stored('b', 'rest')],
      [stored('of-file', 'file', { tokenLifetime: '5m' }), stored('b', 'file')],
    ];
    for (const [baseRevision, documents] of policies.entries()) {
      const event = { requestId: `01890000-0000-7000-8000-00000000000${baseRevision}`, at: 0 } as const;
      await stores.policy.replace({
        baseRevision,
        documents,
        author: 'file',
        at: 0,
        event: { ...event, outcome: 'permitted', action: 'test', remoteAddress: 'local' },
      });
    }
    const before = await stores.policy.load();
    for (const [revision, names] of [
      [1, 'Resource/b, Resource/of-file'],
      [2, 'Resource/b'],
    ]) {
      for (const query of ['', '?dryRun=true']) {
        const refused = await callAdmin(app, `/policy/revisions/${revision}/rollback${query}`, {
          method: 'POST',
        });
        expect(refused.statusCode).toBe(409);
        expect(refused.json()).toMatchObject({
          type: 'urn:mintmark:problem:managed-by-file',
          detail: `managed by the operator's policy file, so change it there: ${names}`,
        });
      }
    }
    expect(await stores.policy.load()).toEqual(before);
    await app.close();
  });

  it('refuses what the rules of today refuse, and is the way out of a policy that they refuse', async () => {
    const { app, stores, policyBook } = await openAdminAlone();
    const document = (spec: object) =>
      ({ kind: 'Resource', name: 'a', managedBy: 'rest', body: resource('a', spec) }) as const;
    // As an earlier version may have taken it, whose rules were others.
    for (const [baseRevision, spec] of [{}, { tokenLifetime: '25h' }].entries()) {
      const event = { requestId: `01890000-0000-7000-8000-00000000000${baseRevision}`, at: 0 } as const;
      await stores.policy.replace({
        baseRevision,
        documents: [document(spec)],
        author: 'earlier',
        at: 0,
        event: { ...event, outcome: 'permitted', action: 'test', remoteAddress: 'local' },
      });
    }
    await policyBook.refresh();
    expect(policyBook.current().revision).toBe(0); // what is stored does not compile
    const call = (revision: number) =>
      callAdmin(app, `/policy/revisions/${revision}/rollback`, { method: 'POST' });
    expect((await call(1)).json()).toMatchObject({ revision: 3 });
    expect(policyBook.current()).toMatchObject({ revision: 3, documents: [document({})] });
    const refused = await call(2);
    expect(refused.statusCode).toBe(422);
    expect(refused.json()).toMatchObject({
      type: 'urn:mintmark:problem:policy-refused',
      problems: [{ document: 'Resource/a', field: 'spec.tokenLifetime', message: 'must be at most 24h' }],
    });
    expect(await stores.audit.find(refused.json().request_id)).toMatchObject({
      action: 'admin.policy.rollback',
      reason: 'admin.policy_refused',
    });
    expect((await stores.policy.load()).revision).toBe(3);
    await app.close();
  });

  it('is not made without its event', async () => {
    const { app, breakAudit, storedPolicy } = await openAdminAlone();
    for (const name of ['one', 'two']) {
      expect((await putPolicy(app, [resource(name)])).statusCode).toBe(200);
    }
    const before = await storedPolicy();
    await breakAudit();
    const refused = await callAdmin(app, '/policy/revisions/1/rollback', { method: 'POST' });
    expect(refused.statusCode).toBe(503);
    expect(refused.json().type).toBe('urn:mintmark:problem:unavailable');
    expect(await storedPolicy()).toEqual(before);
    await app.close();
  });
});
