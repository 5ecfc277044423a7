import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSubjectTemplate } from '../../../src/core/policy/subject-template.ts';
import { isPathSegment } from '../../../src/core/spiffe-id.ts';

const render = (template: string, claims: Record<string, string>) =>
  parseSubjectTemplate(template, 'prod').render(claims);

describe('a subject template', () => {
  it.each([
    ['/prod/{sub}', { sub: 'a' }, '/prod/a'],
    ['/prod/ns-{ns}/sa/{sa}.x', { ns: 'a', sa: 'b' }, '/prod/ns-a/sa/b.x'],
    ['/{issuer-name}/{sub}', { sub: 'a' }, '/prod/a'],
    ['/prod/{repository|path}', { repository: 'acme/api' }, '/prod/acme/api'],
    ['/prod/{repository|path}/env/{env}', { repository: 'acme/api', env: 'x' }, '/prod/acme/api/env/x'],
    ['/prod/{https://a.example/b}', { 'https://a.example/b': 'c' }, '/prod/c'],
    ['/prod/{sub}/{sub}', { sub: 'a' }, '/prod/a/a'],
  ] as const)('%s renders', (template, claims, path) => expect(render(template, claims)).toBe(path));

  it.each(['', '.', '..', 'a/b', 'a%2fb', 'a b', 'a\n', 'ä', 'a?', 'a#', 'a\\b', '\u0000'])(
    'gives no ID for the value %j',
    (sub) => {
      expect(render('/prod/{sub}', { sub })).toBeUndefined();
      expect(render('/prod/x-{sub}', { sub })).toBeUndefined();
    },
  );

  it.each(['', '/', '/a', 'a/', 'a//b', 'a/../b', '..', 'a/./b', 'a/%2e'])(
    'gives no ID for the value %j that would span segments',
    (sub) => expect(render('/prod/{sub|path}', { sub })).toBeUndefined(),
  );

  it.each([1, true, null, ['a'], { a: 'b' }])('gives no ID for %j, which is not a string', (sub) => {
    const template = parseSubjectTemplate('/prod/{sub}', 'prod');
    expect(template.render({ sub })).toBeUndefined();
    expect(template.render({ sub: '1' })).toBe('/prod/1');
  });

  it('gives no ID where a claim is missing or has two readings', () => {
    const template = parseSubjectTemplate('/prod/{a.b}', 'prod');
    expect(template.render({})).toBeUndefined();
    expect(template.render({ a: { b: 'x' }, 'a.b': 'x' })).toBeUndefined();
    expect(template.render({ a: { b: 'x' } })).toBe('/prod/x');
  });

  it('names its claims and the segments that are its own', () => {
    const template = parseSubjectTemplate('/{issuer-name}/ns/{a.b}/x/{c|path}', 'prod');
    expect(template.claimPaths).toEqual(['a.b', 'c']);
    expect(template.leadingSegments).toEqual(['prod', 'ns']);
    expect(template.source).toBe('/prod/ns/{a.b}/x/{c|path}');
  });

  it.each([
    ['prod/{sub}', 'a subject template begins with "/", as in /prod/{sub}'],
    ['', 'a subject template begins with "/", as in /prod/{sub}'],
    [
      '/{sub}',
      'the first segment must be literal, so that no other issuer can give the same ID: write /prod/{sub}',
    ],
    [
      '/prod-{sub}/x',
      'the first segment must be literal, so that no other issuer can give the same ID: write /prod/prod-{sub}/x',
    ],
    [
      '/prod/all',
      'a template without a placeholder gives every workload of the issuer one ID: name a claim, as in {sub}',
    ],
    [
      '/prod/{a}-{b}',
      'two placeholders in the segment "{a}-{b}" could give one ID to different claims: put a "/" between them',
    ],
    [
      '/prod/{a}{b|path}',
      'two placeholders in the segment "{a}{b|path}" could give one ID to different claims: put a "/" between them',
    ],
    [
      '/prod/{a|path}/x/{b|path}',
      'two placeholders of the form {claim|path} could give one ID to different claims: keep at most one',
    ],
    ['/prod/x-{a|path}', '{a|path} spans segments, so it stands alone between slashes, not in "x-{a|path}"'],
    ['/prod/{}', '"{}" does not name a claim: write {claim}, {claim.within} or {claim|path}'],
    ['/prod/{a..b}', '"{a..b}" does not name a claim: write {claim}, {claim.within} or {claim|path}'],
    ['/prod/{a|lower}', '"{a|lower}" does not name a claim: write {claim}, {claim.within} or {claim|path}'],
    ['/prod/{|path}', '"{|path}" does not name a claim: write {claim}, {claim.within} or {claim|path}'],
    ['/prod/{a', 'a "{" is not closed by "}"'],
    ['/prod/a}', 'a "}" has no "{" before it'],
    ['/prod/{a{b}}', 'a "{" stands inside another "{"'],
    [
      '/prod//{a}',
      '"" is not a legal path segment: use letters, digits, ".", "_" and "-", no empty segment and no "." or ".." alone',
    ],
    [
      '/prod/{a}/',
      '"" is not a legal path segment: use letters, digits, ".", "_" and "-", no empty segment and no "." or ".." alone',
    ],
    [
      '/prod/../{a}',
      '".." is not a legal path segment: use letters, digits, ".", "_" and "-", no empty segment and no "." or ".." alone',
    ],
    ['/prod/x:{a}', '"x:{a}" is not a legal path segment: use letters, digits, ".", "_" and "-" around {a}'],
  ])('%j is refused', (template, message) => {
    expect(() => parseSubjectTemplate(template, 'prod')).toThrow(new Error(message));
  });
});

describe('the paths that a template can give', () => {
  it.each([
    ['/prod/{sub}', '/prod/a', true],
    ['/prod/{sub}', '/prod/a/b', false],
    ['/prod/{sub}', '/prod', false],
    ['/prod/{sub}', '/other/a', false],
    ['/prod/ns-{ns}.x', '/prod/ns-a.x', true],
    ['/prod/ns-{ns}.x', '/prod/ns-.x', false],
    ['/prod/ns-{ns}.x', '/prod/ns-...x', false], // its value would be "..", which no segment is made of
    ['/prod/ab{a}ba', '/prod/aba', false],
    ['/prod/ab{a}ba', '/prod/abba', false],
    ['/prod/ab{a}ba', '/prod/abxba', true],
    ['/prod/ab{a}ba', '/prod/xbxba', false],
    ['/prod/ab{a}ba', '/prod/abxbx', false],
    ['/prod/ab{a}ba', '/prod/ab-xba', true],
    ['/prod/{a}', 'prod/a', false],
    ['/prod/{a}', 'x/prod/a', false],
    ['/prod/{a}', '/prod/a%20', false],
    ['/prod/{a|path}', '/prod/a//b', false],
    ['/prod/{a|path}', '/prod/../b', false],
    ['/prod/{a|path}/z/{b}', '/prod/x/y/z/w', true],
    ['/prod/{a|path}/{a}', '/prod/x/y/xy', false], // two segments are no one value
    ['/prod/{a|path}/x', '/prod/a/b/x', true],
    ['/prod/{a|path}/x', '/prod/x', false],
    ['/prod/{a|path}/x', '/prod/x/x', true],
    ['/prod/{a}/{a}', '/prod/b/b', true],
    ['/prod/{a}/{a}', '/prod/b/c', false],
    ['/prod/{a|path}/y/{a}', '/prod/b/y/b', true],
    ['/prod/{a|path}/y/{a}', '/prod/b/c/y/b', false],
  ])('%s and %s', (template, path, expected) => {
    expect(parseSubjectTemplate(template, 'prod').canGive(path)).toBe(expected);
  });
});

describe('injectivity', () => {
  /** Templates over the claims a, b and c, with at most one that spans, and literals that look like values. */
  const literal = fc.stringMatching(/^[ab.-]{1,2}$/).filter(isPathSegment);
  const segment = fc.oneof(
    literal,
    fc
      .tuple(fc.constantFrom('', 'a', 'a-'), fc.constantFrom('a', 'b', 'c'), fc.constantFrom('', 'b', '.a'))
      .map(([before, claim, after]) => `${before}{${claim}}${after}`),
  );
  const template = fc
    .tuple(fc.array(segment, { maxLength: 3 }), fc.array(segment, { maxLength: 3 }), fc.boolean())
    .map(([before, after, spans]) =>
      ['', 'own', ...before, ...(spans ? ['{s|path}'] : []), ...after].join('/'),
    )
    .filter((text) => text.includes('{'));
  const value = fc.stringMatching(/^[ab.-]{1,3}$/);
  const spanning = fc
    .array(fc.stringMatching(/^[ab]{1,2}$/), { minLength: 1, maxLength: 3 })
    .map((parts) => parts.join('/'));
  const claims = fc.record({ a: value, b: value, c: value, s: spanning });

  it('never renders one path for two different tuples of values', () => {
    let equalPaths = 0;
    fc.assert(
      fc.property(template, claims, claims, (text, first, second) => {
        const parsed = parseSubjectTemplate(text, 'own');
        const [left, right] = [parsed.render({ ...first }), parsed.render({ ...second })];
        if (left === undefined || left !== right) return;
        equalPaths += 1;
        const used = (from: Record<string, string>) => parsed.claimPaths.map((path) => from[path]);
        expect(used(first)).toEqual(used(second));
      }),
      { numRuns: 5000 },
    );
    expect(equalPaths).toBeGreaterThan(0); // the property has been put to the test
  });

  it('gives no path that it does not know to be its own', () => {
    let given = 0;
    fc.assert(
      fc.property(template, claims, (text, values) => {
        const parsed = parseSubjectTemplate(text, 'own');
        const path = parsed.render({ ...values });
        if (path === undefined) return;
        given += 1;
        expect(parsed.canGive(path)).toBe(true);
      }),
      { numRuns: 500 },
    );
    expect(given).toBeGreaterThan(0);
  });

  it('renders only legal paths', () => {
    fc.assert(
      fc.property(
        template,
        fc.record({ a: fc.string(), b: fc.string(), c: value, s: fc.string() }),
        (text, values) => {
          const path = parseSubjectTemplate(text, 'own').render({ ...values });
          if (path === undefined) return;
          expect(path.startsWith('/own/')).toBe(true);
          expect(path.slice(1).split('/').every(isPathSegment)).toBe(true);
        },
      ),
    );
  });
});
