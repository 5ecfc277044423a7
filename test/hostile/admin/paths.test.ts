/** Ways around the gate of the admin API, each beside the plain way through it. */
import Fastify, { type InjectOptions } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../../src/core/audit.ts';
import { refuse } from '../../../src/core/error.ts';
import { v7RequestId } from '../../../src/core/request-id.ts';
import { Secret } from '../../../src/core/secret.ts';
import { type AdminScope, createAuthenticate } from '../../../src/http/admin/admin-caller.ts';
import { installAuthorization } from '../../../src/http/admin/authorize.ts';
import { callAdmin, putPolicy, resource } from '../../http/admin/admin-calls.ts';
import { newAddress, openHouse, type TestHouse, testAdminToken, testIssuer } from '../../support/house.ts';

let house: TestHouse;
beforeAll(async () => {
  house = await openHouse([resource('filed')]);
});
afterAll(() => house.close());

const call = (method: InjectOptions['method'], url: string, headers: Record<string, string> = {}) =>
  house.app.inject({ method: method ?? 'GET', url, headers, remoteAddress: newAddress() });
const admin = { authorization: `Bearer ${testAdminToken}` };

describe('a path that is spelt in another way', () => {
  it('is let in where it is the plain one', async () => {
    for (const path of ['/status', '/policy']) {
      expect((await call('GET', `/admin/v1${path}`, admin)).statusCode).toBe(200);
      expect((await call('HEAD', `/admin/v1${path}`, admin)).statusCode).toBe(200);
    }
  });

  it.each([
    ['GET', '/admin/v1/policy'],
    ['HEAD', '/admin/v1/policy'],
    ['GET', '/%61dmin/v1/policy'],
    ['GET', '/admin/v1/p%6flicy'],
    ['GET', '/admin/v1/policy?'],
    ['GET', '/admin/v1/policy#'],
    ['GET', 'http://evil.test/admin/v1/policy'],
  ] as const)('meets the gate: %s %s', async (method, path) => {
    const response = await call(method, path);
    expect(response.statusCode).toBe(401);
    const event = await house.eventOf(String(response.headers['x-request-id']));
    expect(event).toMatchObject({ outcome: 'refused', reason: 'admin.token_missing' });
  });

  it.each([
    ['GET', '//admin/v1/policy'],
    ['GET', '/admin//v1/policy'],
    ['GET', '/admin%2fv1%2fpolicy'],
    ['GET', '/ADMIN/v1/policy'],
    ['GET', '/admin/v1/policy/'],
    ['GET', '/admin/v1/policy%00'],
    ['GET', '/admin/v1/%ff'],
    ['POST', '/admin/v1/policy'],
    ['DELETE', '/admin/v1/policy'],
    ['OPTIONS', '/admin/v1/policy'],
  ] as const)('leads nowhere, even for an admin: %s %s', async (method, path) => {
    const response = await call(method, path, { ...admin, 'x-http-method-override': 'GET' });
    expect([400, 404]).toContain(response.statusCode); // 400 for a path that is no URL
    expect(response.body).not.toContain('filed');
  });

  it('is recorded where it names an event that there is not', async () => {
    const response = await callAdmin(house.app, `/audit-events/${v7RequestId(0)}`);
    expect([400, 404]).toContain(response.statusCode); // 400 for a path that is no URL
    const event = await house.eventOf(response.json().request_id);
    expect(event).toMatchObject({ action: 'admin.audit.read', reason: 'admin.not_found' });
  });
});

describe('writers that race', () => {
  it('with one ETag: one wins, the others are told, and all are recorded', async () => {
    const etag = String((await callAdmin(house.app, '/policy')).headers.etag);
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        putPolicy(house.app, [resource(`racer-${index}`)], { headers: { 'if-match': etag } }),
      ),
    );
    expect(answers.map(({ statusCode }) => statusCode).sort()).toEqual([200, ...Array(7).fill(412)]);
    const { documents } = (await callAdmin(house.app, '/policy')).json();
    expect(documents).toHaveLength(2);
    for (const answer of answers) {
      const event = await house.eventOf(String(answer.headers['x-request-id']));
      expect(event.reason).toBe(answer.statusCode === 200 ? undefined : 'admin.revision_conflict');
    }
  });

  it('cannot take a document from the file by writing it at the same time', async () => {
    const answers = await Promise.all(
      [['other'], ['filed', 'other']].map((names) =>
        putPolicy(
          house.app,
          names.map((name) => resource(name, { tokenLifetime: '1m' })),
        ),
      ),
    );
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 409]);
    expect((await callAdmin(house.app, '/policy')).body).not.toMatch(/"filed"[^}]*\},"spec":\{[^}]*"1m"/);
  });
});

describe('a body that is made to cost much', () => {
  const yaml = (payload: string) =>
    callAdmin(house.app, '/policy?dryRun=true', {
      method: 'PUT',
      headers: { 'content-type': 'application/yaml' },
      payload,
    });
  const billionLaughs = ['a: &a [x, x, x, x, x, x, x, x, x]']
    .concat(
      ['b', 'c', 'd', 'e', 'f', 'g', 'h'].map(
        (name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[index]}`).join(', ')}]`,
      ),
    )
    .join('\n');

  it('is taken where it is honest', async () => {
    expect((await yaml(JSON.stringify([resource('honest')]))).statusCode).toBe(200);
  });

  it.each([
    ['aliases of aliases', billionLaughs],
    ['a deep nest in YAML', `a: ${'['.repeat(20_000)}${']'.repeat(20_000)}`],
    ['a deep nest as a document', `[{kind: Resource, spec: ${'{a: '.repeat(2_000)}1${'}'.repeat(2_000)}}]`],
    ['a mapping of 20,000 fields', Array.from({ length: 20_000 }, (_, n) => `k${n}: 1`).join('\n')],
    ['a tag of JavaScript', '!!js/function "process.exit()"'],
  ])('is refused at a fair cost: %s', async (_name, payload) => {
    const before = process.cpuUsage();
    const response = await yaml(payload);
    expect([response.statusCode, response.json().type]).toEqual([422, 'urn:mintmark:problem:policy-refused']);
    // Time of the processor, not of the clock: other tests run beside this one.
    expect(process.cpuUsage(before).user / 1e6).toBeLessThan(8);
    expect((await callAdmin(house.app, '/status')).statusCode).toBe(200);
    const event = await house.eventOf(response.json().request_id);
    expect(event).toMatchObject({ outcome: 'refused', reason: 'admin.policy_refused', actor: 'bootstrap' });
    expect(house.log()).not.toContain(testAdminToken);
  });
});

describe('a caller who lacks a scope', () => {
  it('is refused and recorded, where one who has it is let in', async () => {
    const events: AuditEvent[] = [];
    const app = Fastify({ genReqId: () => v7RequestId(0) });
    const authorize = installAuthorization(app, {
      ...({} as Parameters<typeof installAuthorization>[1]),
      audit: { append: async (event) => void events.push(event) },
      clock: { now: () => 0 },
      refusalCap: async () => true,
      authenticate: createAuthenticate({
        bootstrapToken: new Secret(testAdminToken),
        audience: 'https://sts.test/admin/v1',
        verifyShownToken: async () => refuse('token.malformed'),
        scopesOf: () => new Set(),
      }),
      settings: {
        issuer: testIssuer,
        trustedProxies: [],
        certificateHeader: undefined,
        isTrustedProxy: () => false,
        version: '0',
      },
    });
    const unknownScope: string = 'policy:never'; // the bootstrap token holds every scope that there is
    app.get('/may', { onRequest: authorize('admin.test', 'policy:read') }, async () => 'secret');
    app.get(
      '/may-not',
      { onRequest: authorize('admin.test', unknownScope as AdminScope) },
      async () => 'secret',
    );
    const [may, mayNot] = await Promise.all(
      ['/may', '/may-not'].map((url) => app.inject({ url, headers: admin })),
    );
    expect([may?.statusCode, may?.body]).toEqual([200, 'secret']);
    expect(mayNot?.statusCode).toBe(403);
    expect(mayNot?.headers['www-authenticate']).toContain('error="insufficient_scope"');
    expect(mayNot?.body).not.toContain('secret');
    expect(events).toContainEqual(
      expect.objectContaining({ outcome: 'refused', reason: 'admin.scope_missing', actor: 'bootstrap' }),
    );
  });
});
