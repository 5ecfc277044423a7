/** What a change of policy needs, by what it changes: callers with fewer scopes than the bootstrap token's. */
import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { refuse } from '../../../src/core/error.ts';
import type { AdminScope } from '../../../src/http/admin/admin-caller.ts';
import { testAdminToken } from '../../support/house.ts';
import { openAdminAlone } from './admin-alone.ts';
import { callAdmin, putPolicy, resource } from './admin-calls.ts';

const scopesOf: Record<string, readonly AdminScope[]> = {
  [testAdminToken]: ['policy:read', 'policy:write', 'policy:admin', 'audit:read'],
  writer: ['policy:write'],
  editor: ['policy:read', 'policy:write'],
  reader: ['policy:read'],
  admin: ['policy:read', 'policy:admin'],
};
type Caller = 'writer' | 'editor' | 'reader' | 'admin';

let house: Awaited<ReturnType<typeof openAdminAlone>>;
beforeAll(async () => {
  house = await openAdminAlone(async ({ token }) => {
    const scopes = scopesOf[token] ?? refuse('admin.token_refused');
    return { name: token === testAdminToken ? 'bootstrap' : token, scopes: new Set(scopes) };
  });
});
afterAll(() => house.app.close());

const issuer = {
  ...resource('cluster'),
  kind: 'Issuer',
  spec: { platform: 'kubernetes', issuer: 'https://oidc.one.test' },
};
const domain = {
  ...resource('prod.test'),
  kind: 'TrustDomain',
  spec: { bundle: { url: 'https://prod.test/bundle', profile: 'https_web' } },
};
const grant = {
  ...resource('readers'),
  kind: 'Grant',
  spec: { subjects: [{ spiffeId: 'spiffe://mintmark.test/a' }], resource: 'inventory' },
};
const start = [issuer, domain, resource('inventory')];
beforeEach(async () => {
  expect((await putPolicy(house.app, start)).statusCode).toBe(200);
});

const as = (caller: Caller) => ({ authorization: `Bearer ${caller}` });
const call = (caller: Caller, method: 'GET' | 'PUT' | 'DELETE' | 'POST', url: string, payload?: object) =>
  callAdmin(house.app, url, {
    method,
    headers: as(caller),
    ...(payload === undefined ? {} : { payload }),
  } as InjectOptions);
const put = (caller: Caller, documents: readonly object[], query = '') =>
  call(caller, 'PUT', `/policy${query}`, { documents });

type Answer = Awaited<ReturnType<typeof call>>;

/** Refused for want of this scope, told so, recorded, and nothing changed. */
async function expectRefused(ask: () => Promise<Answer>, missing: AdminScope, needed: string) {
  const before = await house.storedPolicy();
  const answer = await ask();
  expect(answer.statusCode).toBe(403);
  expect(answer.json()).toMatchObject({
    type: 'urn:mintmark:problem:forbidden',
    detail: `This needs the scope ${missing}.`,
  });
  expect(answer.json()).not.toHaveProperty('diff');
  expect(answer.headers['www-authenticate']).toContain(`error="insufficient_scope", scope="${needed}"`);
  expect(await house.storedPolicy()).toEqual(before);
  expect(await house.stores.audit.find(answer.json().request_id)).toMatchObject({
    outcome: 'refused',
    reason: 'admin.scope_missing',
  });
}

const moved = { ...issuer, spec: { ...issuer.spec, issuer: 'https://oidc.evil.test' } };
const rebundled = { ...domain, spec: { bundle: { ...domain.spec.bundle, url: 'https://evil.test/b' } } };

describe('PUT /admin/v1/policy', () => {
  it('needs policy:write alone where key sources stay as they are, also as YAML in another order', async () => {
    const taken = await put('writer', [...start, grant]);
    expect(taken.statusCode).toBe(200);
    expect(taken.json().diff.added).toEqual([{ kind: 'Grant', name: 'readers' }]);
    const { spec, metadata, kind, apiVersion } = issuer;
    const turned = [resource('other'), domain, { spec, metadata, kind, apiVersion }];
    const yaml = await callAdmin(house.app, '/policy', {
      method: 'PUT',
      headers: { ...as('writer'), 'content-type': 'application/yaml' },
      payload: turned.map((each) => `---\n${JSON.stringify(each)}\n`).join(''),
    });
    expect(yaml.statusCode).toBe(200);
    expect((await house.storedPolicy()).documents.map(({ name }) => name)).toEqual([
      'cluster',
      'other',
      'prod.test',
    ]);
  });

  it('needs audit:read besides where a dry run decides recorded exchanges again', async () => {
    const query = '?dryRun=true&replay=10';
    await expectRefused(() => put('editor', start, query), 'audit:read', 'audit:read');
    expect((await put('editor', start, '?dryRun=true')).statusCode).toBe(200);
    const answer = await putPolicy(house.app, start, { query });
    expect(answer.json()).toHaveProperty('replay.looked_at');
  });

  it.each([
    ['alters an Issuer', [moved, domain]],
    ['removes an Issuer', [domain]],
    ['adds an Issuer', [...start, { ...moved, metadata: { name: 'another' } }]],
    ['alters a TrustDomain', [issuer, rebundled]],
    ['removes everything', []],
  ])('needs policy:admin where it %s', async (_name, documents) => {
    await expectRefused(() => put('editor', documents), 'policy:admin', 'policy:write policy:admin');
    await expectRefused(() => put('admin', documents), 'policy:write', 'policy:write');
    expect((await putPolicy(house.app, documents)).statusCode).toBe(200);
  });

  it('needs policy:read and policy:write for a dry run, whatever would change', async () => {
    const before = await house.storedPolicy();
    const shown = await put('editor', [moved], '?dryRun=true');
    expect(shown.statusCode).toBe(200);
    expect(shown.json().diff.changed).toHaveLength(1);
    expect(await house.storedPolicy()).toEqual(before);
    for (const documents of [[moved], start]) {
      await expectRefused(
        () => put('writer', documents, '?dryRun=true'),
        'policy:read',
        'policy:read policy:write',
      );
    }
    await expectRefused(() => put('reader', start, '?dryRun=true'), 'policy:write', 'policy:write');
  });
});

describe('one document', () => {
  it.each([
    ['/issuers/cluster', moved],
    ['/trust-domains/prod.test', rebundled],
  ])('needs policy:admin at %s', async (path, body) => {
    await expectRefused(() => call('writer', 'PUT', path, body), 'policy:admin', 'policy:write policy:admin');
    await expectRefused(() => call('editor', 'DELETE', path), 'policy:admin', 'policy:write policy:admin');
    expect((await call('editor', 'PUT', `${path}?dryRun=true`, body)).statusCode).toBe(200);
    expect((await call('editor', 'DELETE', `${path}?dryRun=true`)).statusCode).toBe(204);
    await expectRefused(
      () => call('writer', 'PUT', `${path}?dryRun=true`, body),
      'policy:read',
      'policy:read policy:write',
    );
    expect((await callAdmin(house.app, path, { method: 'PUT', payload: body })).statusCode).toBe(200);
    expect((await callAdmin(house.app, path, { method: 'DELETE' })).statusCode).toBe(204);
  });

  it('needs policy:write alone where it is a Resource or a Grant of one', async () => {
    expect((await call('writer', 'PUT', '/grants/readers', grant)).statusCode).toBe(201);
    expect((await call('writer', 'DELETE', '/grants/readers')).statusCode).toBe(204);
    expect((await call('writer', 'PUT', '/resources/orders', resource('orders'))).statusCode).toBe(201);
    await expectRefused(() => call('reader', 'DELETE', '/resources/orders'), 'policy:write', 'policy:write');
  });
});

describe('a rollback', () => {
  it('needs policy:admin where it brings back or takes away a key source, and policy:write alone elsewhere', async () => {
    const { revision } = await house.storedPolicy();
    expect((await putPolicy(house.app, [moved, domain, resource('inventory')])).statusCode).toBe(200);
    const path = `/policy/revisions/${revision}/rollback`;
    await expectRefused(() => call('editor', 'POST', path), 'policy:admin', 'policy:write policy:admin');
    const shown = await call('editor', 'POST', `${path}?dryRun=true`);
    expect(shown.json().diff.changed).toMatchObject([{ kind: 'Issuer', name: 'cluster' }]);
    await expectRefused(
      () => call('writer', 'POST', `${path}?dryRun=true`),
      'policy:read',
      'policy:read policy:write',
    );
    expect((await callAdmin(house.app, path, { method: 'POST' })).statusCode).toBe(200);
    await put('writer', [...start, grant]);
    expect((await call('writer', 'POST', path)).json().diff.removed).toEqual([
      { kind: 'Grant', name: 'readers' },
    ]);
  });

  it('and the history are for who may read the policy', async () => {
    for (const path of ['/policy/revisions', '/policy/revisions/1', '/policy/revisions/1?view=documents']) {
      expect((await call('reader', 'GET', path)).statusCode).toBe(200);
      await expectRefused(() => call('writer', 'GET', path), 'policy:read', 'policy:read');
    }
  });
});
