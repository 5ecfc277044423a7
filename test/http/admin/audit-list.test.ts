/** `GET /admin/v1/audit-events`: pages, filters, what is refused, the export, and that each use leaves an event of its own. */
import Fastify from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditEventRoutes } from '../../../src/http/admin/audit-event-routes.ts';
import type { Authorize } from '../../../src/http/admin/authorize.ts';
import { AdminProblem } from '../../../src/http/admin/problem.ts';
import { openHouse, type TestHouse, testAdminToken } from '../../support/house.ts';
import { callAdmin, resource } from './admin-calls.ts';

let house: TestHouse;
const ids: string[] = [];
let start: number;

beforeAll(async () => {
  house = await openHouse([resource('inventory')]);
  start = house.clock.now() + 60_000; // after the event of the policy's file
  // One event in each second: three reads of the status, and one that is refused.
  for (const [index, url] of ['/status', '/status', '/status', '/resources/absent'].entries()) {
    house.clock.set(start + index * 1000);
    ids.push(String((await callAdmin(house.app, url)).headers['x-request-id']));
  }
  house.clock.set(start + 10_000);
});
afterAll(() => house.close());

const list = (query: string, headers: Record<string, string> = {}) =>
  callAdmin(house.app, `/audit-events${query}`, { headers });
const idsOf = (response: { json(): { events: { request_id: string }[] } }) =>
  response.json().events.map(({ request_id: requestId }) => requestId);
const time = (later: number) => new Date(start + later).toISOString();
const lines = { accept: 'application/x-ndjson' };

describe('the list', () => {
  it('shows whole events, the newest first, and itself in the next one', async () => {
    const first = await list(`?since=${time(0)}`);
    expect(first.statusCode).toBe(200);
    expect(first.headers['cache-control']).toBe('no-store');
    expect(idsOf(first)).toEqual(ids.toReversed());
    expect(first.json()).not.toHaveProperty('next_cursor');
    expect(first.json().events[0]).toEqual(await house.eventOf(String(ids[3])));
    const next = await list('?action=admin.audit.list&limit=1');
    expect(next.json().events).toMatchObject([
      {
        request_id: first.headers['x-request-id'],
        actor: 'bootstrap',
        outcome: 'permitted',
        summary: `listed 4 audit events with since ${time(0)}`,
      },
    ]);
  });

  it('comes in pages, each event once, whatever is written meanwhile', async () => {
    const seen: string[] = [];
    for (let query = `?limit=2&action=admin.status.read`; query !== ''; ) {
      const page = await list(query);
      seen.push(...idsOf(page));
      const { next_cursor: cursor } = page.json();
      query = cursor === undefined ? '' : `?limit=2&action=admin.status.read&cursor=${cursor}`;
      await callAdmin(house.app, '/status');
    }
    expect(seen.slice(-3)).toEqual(ids.slice(0, 3).toReversed());
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toHaveLength(3);
  });

  it.each([
    ['outcome=refused&until=', [3]],
    ['reason=admin.not_found&until=', [3]],
    ['action=admin.status.read&until=', [2, 1, 0]],
    ['resource=inventory&until=', []],
    ['identity=spiffe://mintmark.test/a&until=', []],
  ] as const)('is filtered by %s', async (query, expected) => {
    const found = await list(`?${query}${time(5000)}`);
    expect(idsOf(found)).toEqual(expected.map((index) => ids[index]));
  });

  it('is filtered by time in any offset', async () => {
    const since = time(1000).replace('Z', '%2B00:00');
    expect(idsOf(await list(`?since=${since}&until=${time(3000)}`))).toEqual([ids[2], ids[1]]);
  });
});

describe('a refusal', () => {
  const cursor = (text: string) => Buffer.from(text).toString('base64url');
  const id = '01890000-0000-7000-8000-000000000000';
  it.each([
    ['no SPIFFE ID', 'identity=orders'],
    ['a resource that would be SQL', "resource=a'%20or%20true"],
    ['an unknown outcome', 'outcome=lost'],
    ['a NUL', 'reason=a%00'],
    ['an empty action', 'action='],
    ['a day without a time', 'since=2026-01-01'],
    ['a time without an offset', 'since=2026-01-01T00:00:00'],
    ['the year 0', 'since=0000-01-01T00:00:00Z'],
    ['a time that its offset puts after 9999', 'until=9999-12-31T23:59:59-23:00'],
    ['no events', 'limit=0'],
    ['too many', 'limit=201'],
    ['an unknown parameter', 'actor=bootstrap'],
    ['a parameter twice', 'outcome=refused&outcome=failed'],
    ['a cursor of words', 'cursor=abc'],
    ['a cursor of another list', `cursor=${cursor('inventory')}`],
    ['a cursor after 9999', `cursor=${cursor(`999999999999999 ${id}`)}`],
    ['a cursor with more behind it', `cursor=${cursor(`1 ${id} or true`)}`],
    ['a cursor of no id', `cursor=${cursor(`1 ${'-'.repeat(36)}`)}`],
    ['a cursor with padding', `cursor=${cursor(`1 ${id}`)}=`],
  ])('of %s', async (_name, query) => {
    const refused = await list(`?${query}`);
    expect(refused.json()).toMatchObject({ type: 'urn:mintmark:problem:malformed-request', status: 400 });
    expect(await house.eventOf(refused.json().request_id)).toMatchObject({
      action: 'admin.audit.list',
      outcome: 'refused',
      reason: 'request.malformed',
    });
  });

  it('of a stranger', async () => {
    const refused = await list('', { authorization: 'Bearer wrong', ...lines });
    expect(refused.json()).toMatchObject({ type: 'urn:mintmark:problem:unauthorized', status: 401 });
  });

  it('of a caller whom the gate turns away, before anything is read', async () => {
    const asked: unknown[] = [];
    const app = Fastify();
    app.setValidatorCompiler(validatorCompiler);
    app.setSerializerCompiler(serializerCompiler);
    const gate: Authorize =
      (action, ...scopes) =>
      async () => {
        asked.push([action, scopes]);
        throw new AdminProblem('forbidden');
      };
    const reading = () => Promise.reject(new Error('the audit was read'));
    await app.register(auditEventRoutes(gate, { auditLog: { find: reading, list: reading } }));
    for (const headers of [{}, lines]) {
      expect((await app.inject({ url: '/audit-events', headers })).statusCode).toBe(403);
    }
    expect((await app.inject(`/audit-events/${id}`)).statusCode).toBe(403);
    const list = ['admin.audit.list', ['audit:read']];
    expect(asked).toEqual([list, list, ['admin.audit.read', ['audit:read']]]);
  });

  it('of an export in pages', async () => {
    for (const query of ['limit=10', `cursor=${cursor(`1 ${id}`)}`]) {
      const refused = await list(`?${query}`, lines);
      expect(refused.statusCode).toBe(400);
      expect(refused.headers['content-type']).toBe('application/problem+json');
      expect(refused.json().detail).toContain('An export has no pages');
    }
    expect((await list('', lines)).statusCode).toBe(200);
  });

  it('of HEAD, which would read everything for nothing', async () => {
    expect((await callAdmin(house.app, '/audit-events', { method: 'HEAD' })).statusCode).toBe(404);
  });
});

describe('the export', () => {
  it('is a line an event and one that says it is whole, and is recorded before it begins', async () => {
    const response = await list(`?outcome=refused&until=${time(5000)}`, lines);
    expect(response.headers).toMatchObject({
      'content-type': 'application/x-ndjson',
      'cache-control': 'no-store',
    });
    const [event, ...rest] = response.body.split('\n');
    expect(JSON.parse(String(event))).toEqual(await house.eventOf(String(ids[3])));
    expect(rest).toEqual(['{"complete":true,"events":1}', '']);
    expect(await house.eventOf(String(response.headers['x-request-id']))).toMatchObject({
      action: 'admin.audit.list',
      actor: 'bootstrap',
      summary: `exported audit events with outcome refused, until ${time(5000)}`,
    });
    expect(response.body).not.toContain(testAdminToken);
  });

  it('is for those who ask for it before JSON', async () => {
    for (const accept of ['application/json', '*/*', 'application/json, application/x-ndjson']) {
      const page = await list('?limit=1', { accept });
      expect(page.headers['content-type']).toBe('application/json; charset=utf-8');
    }
    const both = await list('', { accept: 'application/x-ndjson;q=1, application/json' });
    expect(both.headers['content-type']).toBe('application/x-ndjson');
  });
});
