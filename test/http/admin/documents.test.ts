/** The policy one document at a time: reading, listing, changing, and every way in which a change is turned down. */
import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openHouse, type TestHouse, testAdminToken } from '../../support/house.ts';
import { callAdmin, putPolicy, resource } from './admin-calls.ts';

const ofFile = resource('of-file');
let house: TestHouse;
beforeAll(async () => {
  house = await openHouse([ofFile]);
});
afterAll(() => house.close());
beforeEach(async () => {
  expect((await putPolicy(house.app, [])).statusCode).toBe(200);
});

type Body = Record<string, unknown> & { kind: string; metadata: { name: string } };
const collections: Record<string, string> = {
  Issuer: 'issuers',
  TrustDomain: 'trust-domains',
  Resource: 'resources',
  Grant: 'grants',
};
const pathOf = ({ kind, metadata }: Body) => `/${collections[kind]}/${metadata.name}`;
const put = (body: Body, headers: Record<string, string> = {}, query = '') =>
  callAdmin(house.app, `${pathOf(body)}${query}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json', ...headers },
    payload: JSON.stringify(body),
  });
const remove = (path: string, headers: Record<string, string> = {}) =>
  callAdmin(house.app, path, { method: 'DELETE', headers });
const revision = async () => (await callAdmin(house.app, '/policy')).json().revision;

const documents: Body[] = [
  {
    ...resource('cluster'),
    kind: 'Issuer',
    spec: { platform: 'kubernetes', issuer: 'https://oidc.one.test', subject: '/c/{kubernetes.io.pod.name}' },
  },
  {
    ...resource('prod.test'),
    kind: 'TrustDomain',
    spec: { bundle: { url: 'https://prod.test/bundle', profile: 'https_web' } },
  },
  resource('inventory'),
];
const grant: Body = {
  ...resource('readers'),
  kind: 'Grant',
  spec: {
    subjects: [{ spiffeId: 'spiffe://mintmark.test/a' }],
    resource: 'inventory',
    scopes: ['items:read'],
  },
};

describe('one document', () => {
  it('is created, read, replaced and deleted, with one audit event each', async () => {
    const created = await put(resource('inventory'), { 'if-none-match': '*' }, '?reason=new');
    expect(created.statusCode).toBe(201);
    expect(created.headers.location).toBe('/admin/v1/resources/inventory');
    const read = await callAdmin(house.app, '/resources/inventory');
    expect(read.json()).toEqual(resource('inventory'));
    expect(read.headers.etag).toBe(created.headers.etag);
    const shorter = resource('inventory', { tokenLifetime: '1m' });
    const replaced = await put(shorter, { 'if-match': String(read.headers.etag) });
    expect(replaced.statusCode).toBe(200);
    expect(replaced.headers.etag).not.toBe(read.headers.etag);
    const again = await put(shorter);
    expect(again.headers.etag).toBe(replaced.headers.etag);
    expect(again.json().revision).toBe(replaced.json().revision);
    const gone = await remove('/resources/inventory');
    expect([gone.statusCode, gone.body]).toEqual([204, '']);
    expect((await remove('/resources/inventory')).statusCode).toBe(204);
    const absent = await callAdmin(house.app, '/resources/inventory');
    expect(absent.json()).toMatchObject({ type: 'urn:mintmark:problem:not-found', status: 404 });
    const expected = [
      [created, 'put', `created Resource/inventory; now at revision ${created.json().revision}; reason: new`],
      [read, 'read', `read Resource/inventory at revision ${created.json().revision}`],
      [replaced, 'put', `put Resource/inventory; now at revision ${replaced.json().revision}`],
      [gone, 'delete', `deleted Resource/inventory; now at revision ${replaced.json().revision + 1}`],
    ] as const;
    for (const [response, verb, summary] of expected) {
      const event = await house.eventOf(String(response.headers['x-request-id']));
      expect(event).toMatchObject({
        action: `admin.resources.${verb}`,
        outcome: 'permitted',
        actor: 'bootstrap',
        summary,
      });
      expect(JSON.stringify(event)).not.toContain(testAdminToken);
    }
  });

  it.each(documents.map((body) => [body.kind, body] as const))('works for %s', async (_kind, body) => {
    expect((await put(body)).json()).toMatchObject({ diff: { added: [{ kind: body.kind }] } });
    expect((await callAdmin(house.app, pathOf(body))).json()).toEqual(body);
    const head = await callAdmin(house.app, pathOf(body), { method: 'HEAD' });
    expect([head.statusCode, head.body]).toEqual([200, '']);
    expect((await remove(pathOf(body))).statusCode).toBe(204);
  });

  it.each([...documents, grant].map((body) => [body.kind, body] as const))(
    'leaves one event for each use of %s, the refused ones too',
    async (kind, body) => {
      if (kind === 'Grant') await put(resource('inventory'));
      house.clock.set(house.clock.now() + 1000);
      const since = new Date(house.clock.now()).toISOString();
      const [stale, list] = [{ 'if-match': `"${'A'.repeat(43)}"` }, `/${collections[kind]}`];
      await callAdmin(house.app, list);
      await put(body, {}, '?dryRun=true');
      await put(body, stale);
      await put(body);
      await callAdmin(house.app, pathOf(body));
      await remove(pathOf(body), stale);
      await remove(pathOf(body));
      const { events } = (await callAdmin(house.app, `/audit-events?since=${since}`)).json();
      const left = events.map((event: Body) => `${String(event.action).slice(6)} ${event.outcome}`);
      const verbs = ['put permitted', 'put permitted', 'put refused', 'list permitted', 'read permitted'];
      const expected = [...verbs, 'delete permitted', 'delete refused'];
      expect(left.sort()).toEqual(expected.map((use) => `${list.slice(1)}.${use}`).sort());
    },
  );

  it('is deleted only as If-Match names it', async () => {
    const created = await put(resource('inventory'));
    const stale = await remove('/resources/inventory', { 'if-match': `"${'A'.repeat(43)}"` });
    expect(stale.json()).toMatchObject({ type: 'urn:mintmark:problem:etag-mismatch', status: 412 });
    expect(await house.eventOf(stale.json().request_id)).toMatchObject({ reason: 'admin.revision_conflict' });
    const headers = { 'if-match': String(created.headers.etag) };
    expect((await remove('/resources/inventory', headers)).statusCode).toBe(204);
    expect((await remove('/resources/inventory', headers)).statusCode).toBe(412); // it is gone, so it is not that one
    expect((await remove('/resources/inventory')).statusCode).toBe(204);
  });

  it('is read and written as YAML', async () => {
    await put(resource('inventory'));
    const yaml = await callAdmin(house.app, '/resources/inventory', {
      headers: { accept: 'application/yaml' },
    });
    expect(yaml.headers['content-type']).toBe('application/yaml');
    const options: InjectOptions = {
      method: 'PUT',
      headers: { 'content-type': 'application/yaml' },
      payload: yaml.body,
    };
    expect((await callAdmin(house.app, '/resources/inventory', options)).statusCode).toBe(200);
    const two = { ...options, payload: `${yaml.body}\n---\n${yaml.body}` };
    expect((await callAdmin(house.app, '/resources/inventory', two)).statusCode).toBe(422);
  });

  it('changes nothing in a dry run', async () => {
    const before = await revision();
    expect((await put(resource('inventory'), {}, '?dryRun=true')).statusCode).toBe(200);
    expect(await revision()).toBe(before);
  });

  it('is nobody’s loss when many write others at once', async () => {
    const etag = String((await put(resource('inventory'))).headers.etag);
    const names = Array.from({ length: 20 }, (_, index) => `r-${index}`);
    const answers = await Promise.all(names.map((name) => put(resource(name))));
    expect(answers.map(({ statusCode }) => statusCode)).toEqual(names.map(() => 201));
    expect((await put(resource('inventory', { scopes: [] }), { 'if-match': etag })).statusCode).toBe(200);
  });
});

describe('a refusal', () => {
  it.each([
    ['another ETag', { 'if-match': `"${'A'.repeat(43)}"` }],
    ['a document that must not be there', { 'if-none-match': '*' }],
  ])('of %s', async (_name, headers) => {
    await put(resource('inventory'));
    const refused = await put(resource('inventory', { scopes: [] }), headers);
    expect(refused.json()).toMatchObject({ type: 'urn:mintmark:problem:etag-mismatch', status: 412 });
    expect(await house.eventOf(refused.json().request_id)).toMatchObject({
      reason: 'admin.revision_conflict',
    });
    expect((await callAdmin(house.app, '/resources/inventory')).json()).toEqual(resource('inventory'));
  });

  it('of deleting what others refer to names them', async () => {
    await put(resource('inventory'));
    expect((await put(grant)).statusCode).toBe(201);
    const refused = await remove('/resources/inventory');
    expect(refused.json()).toMatchObject({
      type: 'urn:mintmark:problem:document-in-use',
      status: 409,
      detail: expect.stringContaining('Grant/readers'),
    });
    expect(await house.eventOf(refused.json().request_id)).toMatchObject({ reason: 'admin.document_in_use' });
    expect((await remove('/grants/readers')).statusCode).toBe(204);
    expect((await remove('/resources/inventory')).statusCode).toBe(204);
  });

  it('of changing what the file manages', async () => {
    for (const refused of [await put(ofFile), await remove('/resources/of-file')]) {
      expect(refused.json()).toMatchObject({ type: 'urn:mintmark:problem:managed-by-file', status: 409 });
      expect(await house.eventOf(refused.json().request_id)).toMatchObject({
        reason: 'admin.managed_by_file',
      });
    }
  });

  it.each([
    ['another name', resource('other'), 'metadata.name'],
    ['another kind', { ...grant, metadata: { name: 'inventory' } }, 'kind'],
    ['a mistake', resource('inventory', { colour: 'red' }), 'spec.colour'],
  ])('of %s says where', async (_name, body, field) => {
    const refused = await callAdmin(house.app, '/resources/inventory', { method: 'PUT', payload: body });
    expect(refused.statusCode).toBe(422);
    expect(refused.json().problems).toMatchObject([{ field }]);
    expect(await house.eventOf(refused.json().request_id)).toMatchObject({ reason: 'admin.policy_refused' });
  });

  it.each([
    ['PUT', '/resources/a%2Fb', '{}', 'application/json', 400],
    ['GET', '/resources/__proto__', undefined, undefined, 400],
    ['PUT', '/resources/a', '{"__proto__": {}}', 'application/json', 400],
    ['PUT', '/resources/a', '[]', 'application/json', 400],
    ['PUT', '/resources/a', 'x', 'text/html', 415],
    ['PUT', '/resources/a', `"${'x'.repeat(16 * 1024 * 1024)}"`, 'application/json', 413],
    ['GET', '/resources?limit=201', undefined, undefined, 400],
    ['GET', '/resources?text=a%00', undefined, undefined, 400],
    ['GET', '/resources?cursor=Li4v', undefined, undefined, 400],
    ['GET', '/resources?resource=a', undefined, undefined, 400],
    ['GET', '/resources?subject=spiffe://a/b', undefined, undefined, 400],
    ['GET', '/grants?subject=spiffe://a', undefined, undefined, 400],
  ] as const)('of %s %s', async (method, url, payload, type, status) => {
    const headers = type === undefined ? {} : { 'content-type': type };
    const refused = await callAdmin(house.app, url, {
      method,
      headers,
      ...(payload === undefined ? {} : { payload }),
    });
    expect(refused.statusCode).toBe(status);
    expect(refused.headers['content-type']).toBe('application/problem+json');
    expect(await house.eventOf(refused.json().request_id)).toMatchObject({ outcome: 'refused' });
  });
});

describe('the list', () => {
  const names = (response: { json(): { documents: Body[] } }) =>
    response.json().documents.map(({ metadata }) => metadata.name);

  it('comes in pages by name, each once', async () => {
    await putPolicy(
      house.app,
      ['c', 'a', 'b'].map((name) => resource(name)),
    );
    const first = await callAdmin(house.app, '/resources?limit=2');
    expect(names(first)).toEqual(['a', 'b']);
    const next = await callAdmin(house.app, `/resources?limit=2&cursor=${first.json().next_cursor}`);
    expect(names(next)).toEqual(['c', 'of-file']);
    expect(next.json()).not.toHaveProperty('next_cursor');
    expect(await house.eventOf(String(next.headers['x-request-id']))).toMatchObject({
      action: 'admin.resources.list',
      summary: expect.stringMatching(/^listed 2 resources at revision \d+$/),
    });
  });

  it('is filtered by labels, literal text and resource', async () => {
    const labelled = { ...resource('b'), metadata: { name: 'b', labels: { team: 'x', env: 'y' } } };
    await putPolicy(house.app, [resource('inventory'), labelled, grant]);
    expect(names(await callAdmin(house.app, '/resources?label=team:x&label=env:y'))).toEqual(['b']);
    expect(names(await callAdmin(house.app, '/resources?label=team:x&label=env:z'))).toEqual([]);
    expect(names(await callAdmin(house.app, '/resources?text=INVENT'))).toEqual(['inventory']);
    expect(names(await callAdmin(house.app, '/resources?text=%25'))).toEqual([]);
    expect(names(await callAdmin(house.app, '/grants?resource=inventory'))).toEqual(['readers']);
    expect(names(await callAdmin(house.app, '/grants?resource=b'))).toEqual([]);
  });

  it('of grants is filtered by a workload that they could be for', async () => {
    const named = (name: string, subject: object): Body => ({
      ...grant,
      metadata: { name },
      spec: { subjects: [subject], resource: 'inventory' },
    });
    await putPolicy(house.app, [
      ...documents,
      grant,
      named('by-prefix', { prefix: 'spiffe://mintmark.test/c' }),
      named('by-issuer', { issuer: 'cluster' }),
    ]);
    const of = async (id: string) => names(await callAdmin(house.app, `/grants?subject=spiffe://${id}`));
    expect(await of('mintmark.test/a')).toEqual(['readers']);
    expect(await of('mintmark.test/c/pod')).toEqual(['by-issuer', 'by-prefix']);
    expect(await of('mintmark.test/c/pod/more')).toEqual(['by-prefix']);
    expect(await of('prod.test/c/pod')).toEqual([]);
    expect(names(await callAdmin(house.app, '/grants?subject=spiffe://mintmark.test/a&limit=1'))).toEqual([
      'readers',
    ]);
  });

  it('takes "_" and a name of 253 characters as they are', async () => {
    const long = `l${'o'.repeat(251)}g`;
    await putPolicy(house.app, [resource('a_b'), resource('axb'), resource(long)]);
    expect(names(await callAdmin(house.app, '/resources?text=_'))).toEqual(['a_b']);
    expect((await callAdmin(house.app, `/resources/${long}`)).json()).toEqual(resource(long));
    const first = await callAdmin(house.app, '/resources?limit=3');
    expect(names(first)).toEqual(['a_b', 'axb', long]);
    expect(names(await callAdmin(house.app, `/resources?cursor=${first.json().next_cursor}`))).toEqual([
      'of-file',
    ]);
    expect((await callAdmin(house.app, `/resources/${long}x`)).statusCode).toBe(414);
  });
});
