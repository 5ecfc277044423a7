/** `/admin/v1/policy`: reading, replacing, and every way in which a change is turned down. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openHouse, type TestHouse } from '../../support/house.ts';
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

const read = async () => (await callAdmin(house.app, '/policy')).json();
const etag = async () => String((await callAdmin(house.app, '/policy')).headers.etag);

describe('GET /admin/v1/policy', () => {
  it('gives the documents, what the file manages, and the revision as ETag', async () => {
    await putPolicy(house.app, [resource('inventory')]);
    const response = await callAdmin(house.app, '/policy');
    const { revision } = response.json();
    expect(response.headers.etag).toBe(`"${revision}"`);
    expect(response.headers['cache-control']).toBe('no-store');
    expect(response.json()).toEqual({
      revision: expect.any(Number),
      documents: expect.arrayContaining([ofFile, resource('inventory')]),
      managed_by_file: [{ kind: 'Resource', name: 'of-file' }],
    });
  });

  it('gives YAML to who asks for it, which can be sent back as it is', async () => {
    await putPolicy(house.app, [resource('inventory')]);
    const response = await callAdmin(house.app, '/policy', { headers: { accept: 'application/yaml' } });
    expect(response.headers['content-type']).toBe('application/yaml');
    expect(response.body).toContain('# managed by file\napiVersion: mintmark/v1\nkind: Resource\n');
    const back = await callAdmin(house.app, '/policy', {
      method: 'PUT',
      headers: { 'content-type': 'application/yaml', 'if-match': String(response.headers.etag) },
      payload: response.body,
    });
    expect(back.statusCode).toBe(200);
    expect(back.json().diff).toEqual({ added: [], removed: [], changed: [] });
    expect(back.headers.etag).toBe(response.headers.etag);
  });

  it('gives JSON that can be sent back as it is', async () => {
    await putPolicy(house.app, [resource('inventory')]);
    const before = await read();
    const back = await callAdmin(house.app, '/policy', { method: 'PUT', payload: before });
    expect(back.statusCode).toBe(200);
    expect(await read()).toEqual(before);
  });
});

describe('PUT /admin/v1/policy', () => {
  it('replaces what is not managed by file, and says what changed', async () => {
    await putPolicy(house.app, [resource('stays'), resource('goes')]);
    const { revision } = await read();
    const response = await putPolicy(
      house.app,
      [resource('stays', { tokenLifetime: '5m' }), resource('comes')],
      {
        query: '?reason=shorter%20tokens',
      },
    );
    expect(response.statusCode).toBe(200);
    expect(response.headers.etag).toBe(`"${revision + 1}"`);
    expect(response.json()).toEqual({
      revision: revision + 1,
      diff: {
        added: [{ kind: 'Resource', name: 'comes' }],
        removed: [{ kind: 'Resource', name: 'goes' }],
        changed: [
          { kind: 'Resource', name: 'stays', fields: [{ field: 'spec.tokenLifetime', after: '5m' }] },
        ],
      },
      warnings: [],
    });
    expect((await read()).documents).toHaveLength(3);
    expect(await house.eventOf(String(response.headers['x-request-id']))).toMatchObject({
      action: 'admin.policy.replace',
      outcome: 'permitted',
      actor: 'bootstrap',
      summary: `1 added, 1 changed, 1 removed; now at revision ${revision + 1}; reason: shorter tokens`,
    });
  });

  it('puts the change in force at once', async () => {
    const ask = () =>
      house.app.inject({
        method: 'POST',
        url: '/api/v1/token',
        headers: { authorization: 'Bearer x' },
        payload: { audience: 'a' },
      });
    expect((await ask()).statusCode).toBe(401);
    await putPolicy(house.app, [resource('inventory')]);
    const status = (await callAdmin(house.app, '/status')).json();
    expect(status.policy.documents).toMatchObject({ Resource: 2 });
  });

  it('changes nothing in a dry run', async () => {
    const before = await read();
    const response = await putPolicy(house.app, [resource('inventory')], { query: '?dryRun=true' });
    expect(response.json()).toEqual({
      revision: before.revision,
      diff: { added: [{ kind: 'Resource', name: 'inventory' }], removed: [], changed: [] },
      warnings: [],
    });
    expect(response.headers.etag).toBeUndefined();
    expect(await read()).toEqual(before);
    const done = await putPolicy(house.app, [resource('inventory')], { query: '?dryRun=false' });
    expect(done.json().revision).toBe(before.revision + 1);
  });

  it('says what it warns about', async () => {
    const spec = { platform: 'kubernetes', issuer: 'https://oidc.other.test' };
    const issuer = {
      ...resource('other-cluster'),
      kind: 'Issuer',
      spec: { ...spec, subject: '/other-cluster/{kubernetes.io.pod.name}' },
    };
    const response = await putPolicy(house.app, [issuer], { query: '?dryRun=true' });
    expect(response.json().warnings).toEqual([
      {
        document: 'Issuer/other-cluster',
        field: 'spec.subject',
        message: expect.stringContaining('rests on names alone'),
      },
    ]);
  });

  it('keeps the revision where nothing changes', async () => {
    const first = (await putPolicy(house.app, [resource('inventory')])).json();
    const second = (await putPolicy(house.app, [resource('inventory')])).json();
    expect(second).toEqual({ ...first, diff: { added: [], removed: [], changed: [] } });
  });

  it('takes If-Match of the revision in force, and refuses any other', async () => {
    const old = await etag();
    const taken = await putPolicy(house.app, [resource('inventory')], { headers: { 'if-match': old } });
    expect(taken.statusCode).toBe(200);
    const before = await read();
    const refused = await putPolicy(house.app, [], { headers: { 'if-match': old } });
    expect(refused.statusCode).toBe(412);
    expect(refused.json()).toMatchObject({ type: 'urn:mintmark:problem:revision-conflict', status: 412 });
    expect(await house.eventOf(refused.json().request_id)).toMatchObject({
      outcome: 'refused',
      reason: 'admin.revision_conflict',
    });
    expect(await read()).toEqual(before);
  });

  it('takes the revision of the body as If-Match too', async () => {
    const { revision } = await read();
    const send = (payload: object) => callAdmin(house.app, '/policy', { method: 'PUT', payload });
    expect((await send({ documents: [], revision: revision - 1 })).statusCode).toBe(412);
    expect((await send({ documents: [], revision })).statusCode).toBe(200);
  });

  it('refuses to change what the file manages, and names it', async () => {
    const refused = await putPolicy(house.app, [resource('of-file', { tokenLifetime: '1m' })]);
    expect(refused.statusCode).toBe(409);
    expect(refused.json()).toMatchObject({
      type: 'urn:mintmark:problem:managed-by-file',
      detail: expect.stringContaining('Resource/of-file'),
    });
    expect(await house.eventOf(refused.json().request_id)).toMatchObject({
      reason: 'admin.managed_by_file',
    });
    expect((await putPolicy(house.app, [ofFile])).statusCode).toBe(200);
  });

  it('refuses a wrong policy whole, with the place of each mistake', async () => {
    const before = await read();
    const payload = `apiVersion: mintmark/v1
kind: Resource
metadata: { name: fine }
spec: { audience: https://fine.test }
---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: broken }
spec:
  subjects: [{ spiffeId: spiffe://mintmark.test/a }]
  resource: nothing
  colour: red
`;
    const refused = await callAdmin(house.app, '/policy', {
      method: 'PUT',
      headers: { 'content-type': 'application/yaml' },
      payload,
    });
    expect(refused.statusCode).toBe(422);
    expect(refused.headers['content-type']).toBe('application/problem+json');
    expect(refused.json()).toMatchObject({
      type: 'urn:mintmark:problem:policy-refused',
      problems: expect.arrayContaining([
        { document: 'Grant/broken', field: 'spec.colour', line: 12, message: expect.any(String) },
      ]),
    });
    expect(await read()).toEqual(before);
    expect(await house.eventOf(refused.json().request_id)).toMatchObject({ reason: 'admin.policy_refused' });
  });

  it.each([
    ['---\n', 'policy', ''],
    ['# nothing yet\n', 'policy', ''],
    [
      `apiVersion: mintmark/v1
kind: TrustDomain
metadata: { name: prod.test }
spec: { bundle: { workloadApi: unix:///run/agent.sock } }
`,
      'TrustDomain/prod.test',
      'spec.bundle.workloadApi',
    ],
  ])(
    'refuses over REST what would remove all, or reach into the server: %j',
    async (payload, document, field) => {
      const refused = await callAdmin(house.app, '/policy', {
        method: 'PUT',
        headers: { 'content-type': 'application/yaml' },
        payload,
      });
      expect(refused.statusCode).toBe(422);
      expect(refused.json().problems).toMatchObject([{ document, field }]);
    },
  );

  it.each([
    ['JSON that is none', '{"documents": [', {}, 400, 'malformed-request'],
    ['an unknown field beside documents', '{"documents": [], "colour": 1}', {}, 400, 'malformed-request'],
    ['no body', '', {}, 400, 'malformed-request'],
    ['a weak ETag', '{"documents": []}', { 'if-match': 'W/"1"' }, 400, 'malformed-request'],
    ['another content type', 'x', { 'content-type': 'text/html' }, 415, 'unsupported-media-type'],
    [
      'a body beyond 16 MiB',
      JSON.stringify({ documents: ['x'.repeat(16 * 1024 * 1024)] }),
      {},
      413,
      'payload-too-large',
    ],
  ])('answers %s with a problem, and records it', async (_name, payload, headers, status, slug) => {
    const response = await callAdmin(house.app, '/policy', {
      method: 'PUT',
      headers: { 'content-type': 'application/json', ...headers },
      payload,
    });
    expect(response.statusCode).toBe(status);
    expect(response.headers['content-type']).toBe('application/problem+json');
    expect(response.json()).toMatchObject({ type: `urn:mintmark:problem:${slug}`, status });
    expect(await house.eventOf(response.json().request_id)).toMatchObject({
      action: 'admin.policy.replace',
      outcome: 'refused',
      actor: 'bootstrap',
    });
  });

  it('refuses a misspelt parameter rather than make a change that was to be a dry run', async () => {
    const before = await read();
    const response = await putPolicy(house.app, [resource('inventory')], { query: '?dryrun=true' });
    expect(response.statusCode).toBe(400);
    expect(response.json().detail).toContain('dryrun');
    expect(await read()).toEqual(before);
  });

  it('records no more of a body than a line that the store takes', async () => {
    const response = await callAdmin(house.app, '/policy', {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      payload: `{"documents": [], "a\\u0000b\\ud800${'x'.repeat(5000)}": 1}`,
    });
    expect(response.statusCode).toBe(400);
    const { detail } = await house.eventOf(response.json().request_id);
    expect(detail).toMatch(/^request: .*a\ufffdb\ufffdx/);
    expect(String(detail)).toHaveLength(1024);
    const reason = await putPolicy(house.app, [], { query: '?reason=a%00b' });
    expect(reason.statusCode).toBe(400);
    expect((await putPolicy(house.app, [], { query: '?reason=a%20b' })).statusCode).toBe(200);
  });

  it('takes a large body below the limit', async () => {
    const many = Array.from({ length: 3000 }, (_, index) => resource(`r-${index}`));
    const response = await putPolicy(house.app, many);
    expect(response.statusCode).toBe(200);
    expect(response.json().diff.added).toHaveLength(3000);
  });
});
