/** Bodies of an admin that would stop the server for everyone, or be read differently by two readers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callAdmin, putPolicy, resource } from '../../http/admin/admin-calls.ts';
import { openHouse, type TestHouse } from '../../support/house.ts';

let house: TestHouse;
beforeAll(async () => {
  house = await openHouse([resource('by-file')]);
});
afterAll(() => house.close());

const putYaml = (payload: string) =>
  callAdmin(house.app, '/policy?dryRun=true', {
    method: 'PUT',
    headers: { 'content-type': 'application/yaml' },
    payload,
  });

const laughs = ['a: &a [x, x, x, x, x, x, x, x, x]'];
for (const [one, other] of ['ab', 'bc', 'cd', 'de', 'ef']) {
  laughs.push(`${other}: &${other} [${Array.from({ length: 9 }, () => `*${one}`).join(', ')}]`);
}

describe('a YAML document', () => {
  it('is read where it is honest, and its aliases with it', async () => {
    const scopes =
      'apiVersion: mintmark/v1\nkind: Resource\nmetadata: { name: honest }\nspec:\n  audience: &audience https://honest.test\n  scopes: [*audience]\n';
    const response = await putYaml(scopes);
    expect([response.statusCode, response.json().diff.added]).toEqual([
      200,
      [{ kind: 'Resource', name: 'honest' }],
    ]);
  });

  it.each([
    ['a billion laughs', laughs.join('\n')],
    ['lists 100000 deep', '['.repeat(100_000)],
    ['mappings 700 deep', Array.from({ length: 700 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
    ['a tag that would make an object', 'a: !!js/function "function () {}"'],
    ['a name twice', 'apiVersion: mintmark/v1\nkind: Grant\nkind: Resource\n'],
    ['a key that is a list', '[a, b]: c'],
    [
      '__proto__',
      '__proto__: { apiVersion: mintmark/v1 }\nkind: Resource\nmetadata: { name: x }\nspec: { audience: a }',
    ],
  ])('of %s is refused as a policy, not as a fault of ours', async (_name, text) => {
    const response = await putYaml(text);
    expect([response.statusCode, response.json().type]).toEqual([422, 'urn:mintmark:problem:policy-refused']);
    const event = await house.eventOf(response.json().request_id);
    expect(event).toMatchObject({ outcome: 'refused', reason: 'admin.policy_refused', actor: 'bootstrap' });
    expect(house.log()).not.toContain('"level":50');
  });
});

describe('a long body', () => {
  const yaml = (bytes: number) => {
    const start = `apiVersion: mintmark/v1\nkind: Resource\nmetadata: { name: long }\nspec: { audience: https://long.test } # é`;
    return `${start}${'x'.repeat(bytes - Buffer.byteLength(start))}`;
  };
  const limit = 256 * 1024;
  const send = (path: string, type: string, payload: string) =>
    callAdmin(house.app, path, { method: 'PUT', headers: { 'content-type': type }, payload });

  it.each(['/policy?dryRun=true', '/resources/long?dryRun=true'])(
    'of YAML is refused on %s past 256 KiB, with a word of JSON, which may be longer',
    async (path) => {
      expect((await send(path, 'application/yaml', yaml(limit))).statusCode).toBe(200);
      const refused = await send(path, 'application/yaml', yaml(limit + 1));
      expect(refused.json()).toMatchObject({
        type: 'urn:mintmark:problem:payload-too-large',
        status: 413,
        detail: expect.stringContaining('as JSON'),
      });
      expect(await house.eventOf(refused.json().request_id)).toMatchObject({ reason: 'request.too_large' });
      const document = resource('long');
      const json = JSON.stringify(path.startsWith('/policy') ? { documents: [document] } : document);
      const long = `${json}${' '.repeat(limit)}`;
      expect((await send(path, 'application/json', long)).statusCode).toBe(200);
    },
  );
});

describe('a JSON document', () => {
  it.each([
    ['lists 200000 deep', '{"documents":[', `${'['.repeat(200_000)}${']'.repeat(200_000)}`],
    [
      'depths below a name',
      '{"documents":[',
      `{"kind":"Resource","metadata":{"name":"x"},"spec":${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
    ],
  ])('of %s is refused', async (_name, start, document) => {
    const response = await callAdmin(house.app, '/policy', {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      payload: `${start}${document}]}`,
    });
    expect([response.statusCode, response.json().type]).toEqual([
      400,
      'urn:mintmark:problem:malformed-request',
    ]);
  });

  // A pattern that looks for slashes at the end takes their number squared: 300 s for a megabyte of them.
  it('names a subject of a million slashes without counting them', async () => {
    const grant = {
      apiVersion: 'mintmark/v1',
      kind: 'Grant',
      metadata: { name: 'slashes' },
      spec: { subjects: [{ spiffeId: `${'/'.repeat(1_000_000)}x` }], resource: 'by-file' },
    };
    const response = await putPolicy(house.app, [grant]);
    expect(response.statusCode).toBe(422);
    expect(response.json().problems).toEqual([
      expect.objectContaining({
        field: 'spec.subjects[0].spiffeId',
        message: 'is longer than the 2048 bytes of a SPIFFE ID',
      }),
    ]);
  });

  it('takes no document from the operator’s file, by any spelling', async () => {
    for (const name of ['by-file', 'By-File', 'by-file\u200b', 'by-file ']) {
      const response = await putPolicy(house.app, [resource(name, { audience: 'https://taken.test' })]);
      expect([409, 422]).toContain(response.statusCode);
    }
    const { managed_by_file, documents } = (await callAdmin(house.app, '/policy')).json();
    expect(managed_by_file).toEqual([{ kind: 'Resource', name: 'by-file' }]);
    expect(documents).toEqual([resource('by-file')]);
  });

  it('of ten writers on one revision lets one win', async () => {
    const { revision } = (await callAdmin(house.app, '/policy')).json();
    const headers = { 'if-match': `"${revision}"` };
    const responses = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        putPolicy(house.app, [resource(`writer-${index}`)], { headers }),
      ),
    );
    const won = responses.filter(({ statusCode }) => statusCode === 200);
    expect(won).toHaveLength(1);
    expect(responses.filter(({ statusCode }) => statusCode === 412)).toHaveLength(9);
    const { documents } = (await callAdmin(house.app, '/policy')).json();
    expect(documents).toHaveLength(2);
  });
});
