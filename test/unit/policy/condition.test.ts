/** The conditions of grants and issuers: what is refused when written, what holds, and what it may cost. */
import { Environment } from '@marcbachmann/cel-js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { type ConditionVerdict, conditionBudget } from '../../../src/core/policy/condition.ts';
import { compileCondition } from '../../../src/core/policy/conditions.ts';
import { type Refusal, testRefusals } from './refusals.ts';

const unchecked = 'is not a CEL expression that can be checked: ';
const functions =
  'conditions know has, size, startsWith, endsWith, contains, matches, all, exists, exists_one, filter and map(item, value)';

const onGrant = (title: string, condition: string, message: string): Refusal => ({
  title,
  part: '  acknowledgeWide: true\n',
  by: `  acknowledgeWide: true\n  condition: '${condition}'\n`,
  at: 'condition:',
  document: 'Grant/orders',
  field: 'spec.condition',
  message,
});
const onIssuer = (title: string, condition: string, message: string): Refusal => ({
  ...onGrant(title, condition, message),
  part: '  maxTokenAge: 1h\n',
  by: `  maxTokenAge: 1h\n  condition: '${condition}'\n`,
  document: 'Issuer/prod-cluster',
});
const requestTags = '["https://sts.amazonaws.com/"]';
const callerWrites =
  'rests on https://sts.amazonaws.com/.request_tags, which the caller itself writes: name a claim that the platform sets';

describe('conditions that are refused when written', () => {
  testRefusals([
    onGrant('a syntax error', 'claims.ref ==', `${unchecked}Unexpected token: EOF (at character 14)`),
    onGrant(
      'an unknown variable',
      'claim.ref == "a"',
      `${unchecked}Unknown variable: claim (at character 1)`,
    ),
    onGrant('an unknown field', 'identity.sub == "a"', `${unchecked}No such key: sub (at character 10)`),
    onGrant(
      'types that never meet',
      'request.audience == 1',
      `${unchecked}no such overload: string == int (at character 1)`,
    ),
    onGrant(
      'a claim itself',
      'claims.email_verified',
      'gives a claim, not true or false: compare it, as in claims.ref == "refs/heads/main"',
    ),
    onGrant(
      'a number',
      'size(claims.groups)',
      'gives a value of type int, not true or false: compare it, as in claims.ref == "refs/heads/main"',
    ),
    onGrant(
      'deep nesting',
      `${'('.repeat(40)}true${')'.repeat(40)}`,
      `${unchecked}Exceeded maxDepth (32) (at character 33)`,
    ),
    onGrant(
      'many operators',
      Array.from({ length: 210 }, () => 'true').join('||'),
      expect.stringContaining('Exceeded maxAstNodes (400)'),
    ),
    onGrant(
      'a long one',
      `true || claims.a == "${'a'.repeat(2048)}"`,
      'must be at most 2048 characters long',
    ),
    onGrant(
      'a clock',
      'timestamp("2026-01-01T00:00:00Z") < timestamp(claims.at)',
      `calls "timestamp": ${functions}`,
    ),
    onGrant('a variable of its own', 'cel.bind(x, 1, x == 1)', `calls "bind": ${functions}`),
    onGrant('a conversion', 'int(claims.n) == 1', `calls "int": ${functions}`),
    onGrant('the three-part map', 'claims.l.map(x, true, x) == []', `calls "map": ${functions}`),
    onGrant('a type', 'type(claims.n) == int', `calls "type": ${functions}`),
    onGrant('arithmetic', 'size(claims.l) * 2 == 4', 'holds "*", which conditions do not know'),
    onGrant('a map literal', '{"a": claims.a} == {"a": 1}', 'holds "map", which conditions do not know'),
    onGrant('bytes', 'b"a" == b"a"', 'holds a literal that is neither text, number, true, false nor null'),
    onGrant(
      'a whole number that claims cannot hold exactly',
      'claims.id == 9007199254740993',
      'holds a number too large to be exact: if the claim is a string, quote it',
    ),
    onGrant(
      'all claims at once',
      'size(claims) == 1',
      'reads claims as a whole: name what is in it, as in claims.ref',
    ),
    onGrant(
      'a claim whose name is a claim',
      'claims[claims.name] == "a"',
      'reads claims as a whole: name what is in it, as in claims.ref',
    ),
    onGrant(
      'a name of a claim that is a claim',
      'claims.a in claims',
      'looks for a claim whose name is not written out',
    ),
    onGrant(
      'an item named like a variable',
      'claims.l.all(claims, claims == "a")',
      'names the items of all "claims", which is taken',
    ),
    onGrant(
      'an expression that is a claim',
      'claims.a.matches(claims.b)',
      'calls matches with an expression that is not written out',
    ),
    onGrant(
      'lookahead',
      'claims.a.matches("(?=a)")',
      'holds "(?=a)", which is not an RE2 expression (without lookaround or backreferences)',
    ),
    onGrant(
      'large repeat counts',
      'claims.a.matches("a{900}")',
      'holds "a{900}", which is too large: write smaller repeat counts',
    ),
    onGrant('tags that a caller writes', `claims${requestTags}.request_tags.team == "a"`, callerWrites),
    onGrant('what lies above them', `claims${requestTags}.exists(k, k == "a")`, callerWrites),
    {
      title: 'one in place of the tenant that a shared issuer must require',
      part: '  require: { repository_owner_id: "65" }\n',
      by: '  condition: \'claims.repository_owner_id == "65"\'\n',
      at: 'spec:\n  platform: github-actions',
      document: 'Issuer/acme-ci',
      field: 'spec.require',
      message:
        'anyone can get a token from this issuer: pin repository_owner_id or repository_id or enterprise_id to your own',
    },
    onGrant('an empty one', '', 'must not be empty'),
    {
      ...onGrant('', '', ''),
      title: 'an unknown mode of a grant',
      by: '  mode: dry\n',
      at: 'mode: dry',
      field: 'spec.mode',
      message: 'must be enforce or observe, not "dry"',
    },
    {
      ...onIssuer('', '', ''),
      title: 'an unknown mode of an issuer',
      by: '  mode: dry\n',
      at: 'mode: dry',
      field: 'spec.mode',
      message: 'must be enforce or observe, not "dry"',
    },
    onIssuer(
      'an issuer’s that reads the request',
      'request.audience == "a"',
      `${unchecked}Unknown variable: request (at character 1)`,
    ),
    onIssuer(
      'an issuer’s that reads the identity',
      'identity.issuer == "a"',
      `${unchecked}Unknown variable: identity (at character 1)`,
    ),
  ]);
});

const claims: JsonObject = {
  ref: 'refs/heads/main',
  'kubernetes.io': { namespace: 'orders' },
  groups: ['dev', 'ops'],
  run: 5,
  half: 0.5,
  done: true,
  none: null,
  deep: { list: [{ name: 'a' }, { name: 'b' }] },
};
const evaluate = (source: string, given: JsonObject = claims): ConditionVerdict => {
  const compiled = compileCondition(source, 'Grant');
  if (typeof compiled === 'string') throw new Error(compiled);
  const identity = { spiffe_id: 'spiffe://prod.example/orders', trust_domain: 'prod.example' };
  const request = { audience: 'https://inventory.example', scopes: ['items:read'] };
  return compiled.evaluate({ claims: given, identity, request }, conditionBudget());
};

describe('a condition', () => {
  it.each([
    'claims.ref == "refs/heads/main"',
    'claims["kubernetes.io"].namespace != "default"',
    '"dev" in claims.groups && !("root" in claims.groups)',
    '"ref" in claims && has(claims.run) && !has(claims.walk)',
    'claims.run == 5 && claims.run > 4.5 && claims.run <= 5 && claims.half < 1 && -claims.run < 0',
    'claims.run != "5"',
    'claims.done == true && claims.none == null',
    'claims.ref.startsWith("refs/") && claims.ref.endsWith("/main") && claims.ref.contains("heads")',
    'claims.ref.matches("^refs/(heads|tags)/[a-z]+$") && claims.ref.matches("head")',
    'claims.groups.exists(g, g.startsWith("d")) && claims.groups.all(g, size(g) == 3)',
    'claims.groups.exists_one(g, g == "ops") && claims.groups.filter(g, g != "dev") == ["ops"]',
    'claims.deep.list.map(i, i.name) == ["a", "b"] && claims.deep.list[1].name == "b"',
    'claims["kubernetes.io"].exists(key, key == "namespace")',
    'claims.deep.list.exists(i, claims.groups.exists(g, i.name + g == "bops"))',
    'claims.walk == "x" || claims.run == 5',
    'claims.run == 5 || claims.walk == "x"',
    'claims.groups.exists(g, g == "ops" || g.nothing == 1)',
    'has(claims.walk) ? claims.walk == "x" : claims.run + 1.0 == 6.0',
    'identity.spiffe_id.startsWith("spiffe://prod.example/") && identity.trust_domain == "prod.example"',
    '!has(identity.issuer)',
    'request.audience == "https://inventory.example" && request.scopes.all(s, s.endsWith(":read"))',
    'size("aé😀") == 3 && size(claims.deep) == 1 && [1, 2] + [3] == [1, 2, 3]',
  ])('holds: %s', (source) => {
    expect(evaluate(source)).toEqual({ holds: true });
  });

  it.each([
    ['claims.ref == "refs/heads/dev"', undefined],
    ['claims.walk == "x"', 'claims.walk is missing'],
    ['claims.walk.far == "x"', 'claims.walk is missing'],
    ['claims.walk != "x"', 'claims.walk is missing'],
    ['!has(claims.walk.far)', 'claims.walk is missing'],
    ['claims.walk == "x" && claims.run == 5', 'claims.walk is missing'],
    ['claims.walk == "x" && claims.run == 6', undefined],
    ['claims.constructor != "x"', 'claims.constructor is missing'],
    ['claims.groups["length"] == 2', 'claims.groups.length is missing'],
    ['claims.groups[2] != "x"', 'claims.groups[2] is missing'],
    ['claims.groups[-1] != "x"', 'claims.groups[-1] is missing'],
    ['identity.issuer != "x"', 'identity.issuer is missing'],
    ['claims.run < "6"', '< needs two numbers or two texts'],
    ['claims.run.startsWith("5")', 'startsWith needs text on both sides'],
    ['claims.run.matches("5")', 'matches needs text before it'],
    ['claims.ref.all(c, true)', 'all needs a list or a map before it'],
    ['claims.groups.all(g, g == "dev" || g.x == 1)', 'g.x is missing'],
    ['claims.groups.all(g, claims.run)', expect.any(String)],
    ['!claims.run', '! needs true or false after it'],
    ['claims.run && true', '&& and || need true or false on both sides'],
    ['claims.run + "x" == "5x"', '+ needs two texts, two lists, or two numbers of one type'],
    ['claims.run + 1 == 6', '+ needs two texts, two lists, or two numbers of one type'],
  ])('does not hold: %s', (source, why) => {
    expect(evaluate(source)).toEqual({ holds: false, why });
  });

  it('names the claims that it reads', () => {
    const compiled = compileCondition(
      'claims.a.b == "x" && "c" in claims && claims.d[0].e == 1 && has(claims.f.g) && claims["h.i"] == claims.a.b',
      'Issuer',
    );
    expect(compiled).toMatchObject({ claimPaths: ['a.b', 'c', 'd', 'f.g', 'h.i'] });
  });

  it('is compiled or refused, and evaluated, without ever throwing', () => {
    const words =
      `claims claims.a claims.l claims["m"] identity.issuer request.scopes x y . , : ? ( ) [ ] { } && || ! == != < in + - *
      has( size( .all(x, .exists(x, .map(x, .filter(y, .matches( .contains( .startsWith( "a" 'b' "(a+)+$" r"[" b"c" 1 2u 3.5 0x1f -1
      true false null type int dyn( cel.bind( __proto__ constructor .? [? """`.split(/\s+/);
    const word = fc.constantFrom(...words);
    const boolean = fc.constantFrom(
      'true',
      'claims.a == 1',
      'has(claims.x)',
      'claims.l.all(x, x == claims.a)',
      '"x" in claims.m',
    );
    const text = fc.oneof(
      fc.array(word, { maxLength: 14 }).map((some) => some.join(' ')),
      fc.array(word, { maxLength: 8 }).map((some) => some.join('')),
      fc
        .tuple(boolean, fc.array(word, { maxLength: 4 }))
        .map(([first, rest]) => `${first} ${rest.join(' ')}`),
      fc.tuple(boolean, fc.constantFrom('&&', '||', '==', '?', 'in'), boolean).map((some) => some.join(' ')),
      fc.string({ maxLength: 60 }),
    );
    const claim = fc.constantFrom<JsonObject[string]>(1, 'a', null, true, [1], { k: 'a' }, [[], {}]);
    const given = fc.record({
      a: claim,
      l: fc.array(claim),
      m: fc.dictionary(fc.constantFrom('x', 'y'), claim),
    });
    let compiledCount = 0;
    fc.assert(
      fc.property(text, given, (source, verified) => {
        const compiled = compileCondition(source, 'Grant');
        if (typeof compiled === 'string') {
          expect(compiled).not.toBe('');
          return;
        }
        compiledCount += 1;
        expect(typeof compiled.evaluate({ claims: verified }, conditionBudget()).holds).toBe('boolean');
      }),
      { numRuns: 5000 },
    );
    expect(compiledCount).toBeGreaterThan(300);
  });

  it('says what CEL says', () => {
    const environment = new Environment().registerVariable('claims', 'map<string, dyn>');
    const value = fc.constantFrom(
      'claims.a',
      'claims.b',
      'claims.l',
      '"x"',
      '1',
      '2.5',
      'true',
      'claims.m.k',
      '["x", "y"]',
    );
    const comparison = fc
      .tuple(value, fc.constantFrom('==', '!=', '<', '>=', 'in', '+'), value)
      .map(([a, op, b]) => (op === '+' ? `${a} + ${b} == ${a}` : `${a} ${op} ${b}`));
    const leaf = fc.oneof(
      comparison,
      fc.constantFrom(
        'has(claims.a)',
        'has(claims.m.k)',
        '"a" in claims',
        'claims.a.startsWith("x")',
        'size(claims.l) == 2',
        'claims.l.exists(i, i == claims.a)',
        'claims.l.all(i, i < claims.b)',
        'claims.l.exists_one(i, i == "x")',
        'claims.l.filter(i, i != "x") == ["y"]',
        'claims.m.exists(k, k == "k")',
      ),
    );
    const { expression } = fc.letrec<{ expression: string }>((tie) => ({
      expression: fc.oneof(
        { maxDepth: 3 },
        leaf,
        fc
          .tuple(tie('expression'), fc.constantFrom('&&', '||'), tie('expression'))
          .map(([a, op, b]) => `(${a} ${op} ${b})`),
        tie('expression').map((text) => `!(${text})`),
        fc
          .tuple(tie('expression'), tie('expression'), tie('expression'))
          .map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
      ),
    }));
    const claim = fc.constantFrom<JsonObject[string]>(
      'x',
      'y',
      1,
      2.5,
      true,
      null,
      ['x', 'y'],
      [1, 2],
      [],
      { k: 'x' },
      {},
    );
    const map = fc.constantFrom<JsonObject>({ k: 'x' }, { k: 1 }, {});
    const given = fc.record({ a: claim, b: claim, l: claim, m: map }, { requiredKeys: [] });
    let [held, failed] = [0, 0];
    fc.assert(
      fc.property(expression, given, (source, verified) => {
        const compiled = compileCondition(source, 'Issuer');
        if (typeof compiled === 'string') return; // refused by its types
        const verdict = compiled.evaluate({ claims: verified }, conditionBudget());
        let expected: unknown = 'fails';
        try {
          expected = environment.evaluate(source, { claims: verified });
        } catch {}
        if (verdict.holds) held += 1;
        else if (verdict.why !== undefined) failed += 1;
        expect([source, verified, verdict.holds || (verdict.why === undefined ? false : 'fails')]).toEqual([
          source,
          verified,
          expected,
        ]);
      }),
      { numRuns: 3000 },
    );
    expect(Math.min(held, failed)).toBeGreaterThan(100);
  });
});

describe('what a condition may cost', () => {
  const list = Array.from({ length: 5000 }, (_, index) => `g${index}`);
  const tooCostly = { holds: false, why: 'costs too much to evaluate' };

  it.each([
    ['a list within a list', 'claims.list.all(x, x in claims.list)'],
    [
      'three nested macros',
      'claims.list.exists(x, claims.list.exists(y, claims.list.exists(z, x + y == z)))',
    ],
    ['what would decide at last', 'claims.list.exists(x, x == "g4999") || true'],
    ['text in text', 'claims.long.contains(claims.half)'],
    ['an expression on long text', 'claims.long.matches("(a|b|ab)*c")'],
    ['lists that double', `claims.list${Array.from({ length: 12 }, () => '.map(x, [x, x])').join('')} == []`],
    ['deep equality', 'claims.nest == claims.nest2'],
  ])('ends with %s', (_what, source) => {
    const nest = () => JSON.parse(`${'['.repeat(20_000)}${']'.repeat(20_000)}`);
    const long = 'a'.repeat(60_000);
    const given = { list, long, half: `${long.slice(0, 30_000)}b`, nest: nest(), nest2: nest() };
    const started = performance.now();
    expect(evaluate(source, given)).toEqual(tooCostly);
    expect(performance.now() - started).toBeLessThan(250);
  });

  it('matches in linear time', () => {
    expect(evaluate('claims.a.matches("(a+)+$")', { a: `${'a'.repeat(5000)}!` })).toEqual({
      holds: false,
      why: undefined,
    });
    expect(evaluate('claims.a.matches("(a+)+$")', { a: 'a'.repeat(5000) })).toEqual({ holds: true });
  });

  it('is shared by the conditions of one decision', () => {
    const compiled = compileCondition('claims.list.all(x, x in claims.list)', 'Grant');
    const cheap = compileCondition('claims.a == 1', 'Grant');
    if (typeof compiled === 'string' || typeof cheap === 'string') throw new Error('refused');
    const budget = conditionBudget();
    const given = { claims: { list, a: 1 } };
    for (const _ of Array.from({ length: 4 })) expect(compiled.evaluate(given, budget)).toEqual(tooCostly);
    expect(cheap.evaluate(given, budget)).toEqual({ holds: true });
    expect(compiled.evaluate(given, budget)).toEqual(tooCostly);
    expect(cheap.evaluate(given, budget)).toEqual(tooCostly);
  });
});
