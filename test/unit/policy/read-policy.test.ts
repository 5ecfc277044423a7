import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readPolicyPath, readPolicyTestsPath } from '../../../src/adapters/policy-source/read-path.ts';
import { readPolicyTests, readPolicyText } from '../../../src/adapters/policy-source/read-text.ts';
import { PolicyRefused } from '../../../src/core/policy/refused.ts';

const options = { file: 'policy.yaml', managedBy: 'rest' } as const;
const read = (text: string) => readPolicyText(text, options);
const values = (text: string) => read(text).map(({ value }) => value);

function refusal(text: string) {
  try {
    read(text);
  } catch (error) {
    if (error instanceof PolicyRefused) return error.problems.map(({ line, message }) => ({ line, message }));
    throw error;
  }
  throw new Error('the text was accepted');
}

describe('readPolicyText', () => {
  it.each([
    ['YAML', 'a: 1\n---\n# only a comment\n---\nb: [x]\n', [{ a: 1 }, { b: ['x'] }]],
    ['JSON', '{"a": 1}', [{ a: 1 }]],
    ['JSON with tabs', '{\n\t"a": {\n\t\t"b": 1\n\t}\n}', [{ a: { b: 1 } }]],
    ['a JSON list', '[{"a": 1}, {"a": 2}]', [{ a: 1 }, { a: 2 }]],
    ['{documents}', 'documents:\n- a: 1\n- a: 2', [{ a: 1 }, { a: 2 }]],
    ['nothing', '', []],
    ['comments', '# nothing yet\n', []],
    ['a byte order mark', '\uFEFFa: 1', [{ a: 1 }]],
    ['Windows lines', 'a: 1\r\nb: 2\r\n', [{ a: 1, b: 2 }]],
    ['a date as text', 'a: 2027-01-01T00:00:00Z', [{ a: '2027-01-01T00:00:00Z' }]],
    ['yes as text', 'a: yes', [{ a: 'yes' }]],
    ['merge keys as plain fields', '<<: { a: 1 }', [{ '<<': { a: 1 } }]],
    ['a few aliases', 'a: &x [1]\nb: *x', [{ a: [1], b: [1] }]],
  ])('reads %s', (_, text, expected) => expect(values(text)).toEqual(expected));

  it('keeps a field named __proto__ as a field', () => {
    const [value] = values('__proto__: { admin: true }');
    expect(Object.keys(value as object)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  it.each([
    ['a field twice', 'a: 1\nb: 2\na: 3', 3, 'a field stands twice in one mapping: keep one'],
    ['a JSON member twice', '{"a": 1,\n"a": 2}', 2, 'a field stands twice in one mapping: keep one'],
    ['a tag', 'a: 1\nb: !secret x', 2, 'holds a YAML tag that is not known here: leave it out'],
    ['a number as a field', 'a:\n  1: x', 2, 'a field name must be a string: quote it'],
    ['a list as a field', 'a: 1\n? [x]\n: y', 2, 'a field name must be a string: quote it'],
    [
      'an unknown alias',
      'a: *b',
      1,
      'uses aliases that are unknown or that grow too large: write the values out',
    ],
    [
      'aliases that grow',
      [
        'a: &a [x, x, x, x, x, x, x, x, x]',
        ...['b', 'c', 'd', 'e'].map((name, index) => {
          const alias = `*${'abcd'[index]}`;
          return `${name}: &${name} [${Array(9).fill(alias).join(', ')}]`;
        }),
      ].join('\n'),
      1,
      'uses aliases that are unknown or that grow too large: write the values out',
    ],
    [
      'fields beside documents',
      'documents: []\nrevision: 1',
      2,
      'is not known beside "documents": leave it out',
    ],
  ])('refuses %s', (_, text, line, message) => expect(refusal(text)).toEqual([{ line, message }]));

  it.each(['a: [1', 'a: "b', 'a: 1\n b: 2', '{"a": 1', '%UNKNOWN x\n---\na: 1', '['.repeat(20_000)])(
    'refuses what is not YAML, with a line: %j',
    (text) => {
      const problems = refusal(text);
      expect(problems.length).toBeLessThanOrEqual(50);
      expect(problems[0]?.line).toBeGreaterThan(0);
      expect(problems[0]?.message).toMatch(/^is not valid YAML or JSON: /);
    },
  );

  it('knows the line of each field, and of what is around a missing one', () => {
    const [, source] = read(
      'a: 1\n---\nkind: Grant\nspec:\n  subjects:\n    - x: 1\n    - &n\n      y: 2\n  alias: *n\n',
    );
    const line = (...path: (string | number)[]) => source?.locate(path);
    const at = (number: number) => ({ file: 'policy.yaml', line: number });
    expect(line()).toEqual(at(3));
    expect(line('spec')).toEqual(at(4));
    expect(line('spec', 'subjects', 0)).toEqual(at(6));
    expect(line('spec', 'subjects', 1, 'y')).toEqual(at(8));
    expect(line('spec', 'subjects', 7, 'y')).toEqual(at(5));
    expect(line('spec', 'alias', 'y')).toEqual(at(8));
    expect(line('spec', 'missing', 'deep')).toEqual(at(4));
    expect(line('missing')).toEqual(at(3));
  });

  it('knows the lines of documents in a list, and no file where there is none', () => {
    const [, source] = readPolicyText('documents:\n- a: 1\n- b:\n    c: 2', { managedBy: 'rest' });
    expect(source?.locate(['b', 'c'])).toEqual({ line: 4 });
    expect(source?.managedBy).toBe('rest');
  });

  it('leaves PolicyTest documents to readPolicyTests', () => {
    const text = 'kind: Grant\n---\nkind: PolicyTest\nspec: []\n';
    expect(values(text)).toEqual([{ kind: 'Grant' }]);
    expect(readPolicyTests(text, options).map(({ value }) => value)).toEqual([
      { kind: 'PolicyTest', spec: [] },
    ]);
  });
});

describe('readPolicyPath', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mintmark-policy-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const put = (name: string, text: string) => writeFile(join(folder, name), text);
  const readFolder = async () =>
    (await readPolicyPath(folder, 'file')).map((source) => ({
      value: source.value,
      managedBy: source.managedBy,
      ...source.locate([]),
    }));

  it('reads one file, whatever its name', async () => {
    await put('policy.txt', 'a: 1');
    const [source] = await readPolicyPath(join(folder, 'policy.txt'), 'file');
    expect(source?.value).toEqual({ a: 1 });
  });

  it('reads a folder’s files at any depth, in order, and no others', async () => {
    await mkdir(join(folder, 'b'));
    await mkdir(join(folder, '.git'));
    await put('c.json', '{"n": 3}');
    await put('a.yaml', 'n: 1\n---\nkind: PolicyTest\n');
    await put('b/x.yml', 'n: 2');
    await put('notes.md', 'n: 9');
    await put('.git/x.yaml', 'n: 9');
    await put('.hidden.yaml', 'n: 9');
    expect(await readFolder()).toEqual([
      { value: { n: 1 }, managedBy: 'file', file: join(folder, 'a.yaml'), line: 1 },
      { value: { n: 2 }, managedBy: 'file', file: join(folder, 'b/x.yml'), line: 1 },
      { value: { n: 3 }, managedBy: 'file', file: join(folder, 'c.json'), line: 1 },
    ]);
    expect((await readPolicyTestsPath(folder)).map(({ value }) => value)).toEqual([{ kind: 'PolicyTest' }]);
  });

  it('reads a mounted ConfigMap once, through its links', async () => {
    await mkdir(join(folder, '..2026_01_01'));
    await put('..2026_01_01/policy.yaml', 'n: 1');
    await symlink('..2026_01_01', join(folder, '..data'));
    await symlink('..data/policy.yaml', join(folder, 'policy.yaml'));
    expect((await readFolder()).map(({ value }) => value)).toEqual([{ n: 1 }]);
  });

  it('says what is wrong in all files at once', async () => {
    await put('a.yaml', 'a: 1\na: 2');
    await put('b.yaml', 'a: [');
    await put('c.yaml', 'a: 1');
    const error = await readPolicyPath(folder, 'file').catch((caught) => caught);
    expect(error).toBeInstanceOf(PolicyRefused);
    const files = error.problems.map(({ file }: { file: string }) => file);
    expect([...new Set(files)]).toEqual([join(folder, 'a.yaml'), join(folder, 'b.yaml')]);
  });

  it.each([
    [
      'that is not there',
      () => Promise.resolve(),
      'missing',
      'cannot be read: check that it is there and readable',
    ],
    ['without a policy file', () => put('notes.md', ''), '', 'holds no *.yaml, *.yml or *.json file'],
    [
      'with a link that leads out of it',
      async () => {
        await mkdir(join(folder, 'in'));
        await put('inverse.yaml', 'a: 1');
        await symlink('../inverse.yaml', join(folder, 'in/x.yaml'));
      },
      'in',
      'is a link that leads out of the policy folder',
    ],
    [
      'with a link to a folder',
      async () => {
        await mkdir(join(folder, 'sub'));
        await symlink('sub', join(folder, 'again'));
      },
      '',
      'is a link to a folder, which is not followed',
    ],
    [
      'with a link to nothing',
      () => symlink('nowhere.yaml', join(folder, 'x.yaml')),
      '',
      'cannot be read: check that it is there and readable',
    ],
  ])('refuses a path %s', async (_, prepare, within, message) => {
    await prepare();
    await expect(readPolicyPath(join(folder, within), 'file')).rejects.toMatchObject({
      name: 'PolicyRefused',
      problems: [{ document: 'policy', message }],
    });
  });
});
