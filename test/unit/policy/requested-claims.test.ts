/** Claims that a caller asks for: schemas refused when written, values refused at the exchange, never a claim that nobody allowed. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decide } from '../../../src/core/decide.ts';
import { OAuthError } from '../../../src/core/error.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { problemsOfClaimSchema } from '../../../src/core/policy/claim-schema.ts';
import { compileRequestedClaim } from '../../../src/core/policy/requested-claim.ts';
import { compileText, exampleText, identity, problemsOf } from './example-policy.ts';

const now = Date.parse('2026-06-01T00:00:00Z');
const inventory = 'https://inventory.internal.example';
const id = 'spiffe://prod.example/asker/one';
const exact = `spiffeId: ${id}`;
const prefix = 'prefix: spiffe://prod.example/asker';

const grant = (name: string, claims: object, subject = exact) =>
  `---\napiVersion: mintmark/v1\nkind: Grant\nmetadata: { name: ${name} }\nspec: { subjects: [ { ${subject} } ], resource: inventory, claims: ${JSON.stringify(claims)} }\n`;
const textWith = (...grants: string[]) => exampleText + grants.join('');
const ask = (additionalClaims: JsonObject, grants: string[], verified: JsonObject = {}) => {
  const who = identity(id, { expiresAt: now / 1000 + 3600, claims: verified });
  return decide(who, { audience: inventory, additionalClaims }, compileText(textWith(...grants)), now);
};
const allow = (schemas: object, subject = exact, name = 'a') =>
  grant(name, { allowRequested: schemas }, subject);
const orderId = { type: 'string', maxLength: 8, pattern: '^[a-z0-9]+$' };

describe('claims that a caller asks for', () => {
  it('are added where a grant allows them', () => {
    const decision = ask({ order_id: 'a1' }, [allow({ order_id: orderId })]);
    expect(decision.permit && decision.claims).toEqual({ order_id: 'a1' });
    expect(decision.checks.at(-1)).toMatchObject({ check: 'claims', ok: true, actual: '17 bytes: order_id' });
  });

  it('are the caller’s to leave out', () => {
    const decision = ask({}, [allow({ order_id: orderId })]);
    expect(decision.permit && decision.claims).toEqual({});
  });

  it('join what grants set and copy, and may repeat it', () => {
    const claims = { set: { tenant: 'acme' }, copy: { repo: 'repository' } };
    const grants = [
      grant('b', claims),
      allow({ order_id: orderId, tenant: orderId, repo: { ...orderId, pattern: '^.*$' } }),
    ];
    const asked = { order_id: 'a1', tenant: 'acme', repo: 'acme/x' };
    const decision = ask(asked, grants, { repository: 'acme/x' });
    expect(decision.permit && decision.claims).toEqual(asked);
  });

  it.each([
    ['no grant names it', { other: 'a1' }, {}, 'request.claim_not_allowed', undefined],
    ['JavaScript names it', { constructor: 'a1' }, {}, 'request.claim_not_allowed', undefined],
    ['the schema refuses it', { order_id: 'canary' }, {}, 'request.claim_invalid', 'narrow'],
    ['it is null', { order_id: null }, {}, 'request.claim_invalid', 'narrow'],
    ['a grant sets another', { tenant: 'canary' }, {}, 'request.claim_conflict', 'giving'],
    ['a grant copies another', { team: 'canary' }, { team: 'acme' }, 'request.claim_conflict', 'giving'],
    ['a grant would copy it', { team: 'canary' }, {}, 'request.claim_conflict', 'giving'],
  ] as const)('are refused where %s', (_why, asked, verified, reason, where) => {
    const text = { type: 'string', maxLength: 8 };
    const grants = [
      grant('giving', { set: { tenant: 'acme' }, copy: { team: 'team' } }, prefix),
      allow({ order_id: { enum: ['a1', 'b2'] } }, exact, 'narrow'),
      allow({ order_id: text, tenant: text, team: text }, prefix, 'wide'),
    ];
    expect(ask({ order_id: 'a1' }, grants, verified)).toMatchObject({ permit: true });
    const decision = ask(asked, grants, verified);
    expect(decision).toMatchObject({ permit: false, reason });
    expect(decision.checks.at(-1)).toMatchObject({ check: 'claims.requested', ok: false });
    expect(decision.checks.at(-1)?.grant).toBe(where);
    expect(JSON.stringify(decision.checks)).not.toContain('canary');
    expect(new OAuthError(reason).code).toBe('invalid_request');
  });

  it('are not added by a grant that does not contribute', () => {
    const scoped = (name: string, scope: string, claims: object) =>
      grant(name, claims).replace('resource: inventory', `resource: inventory, scopes: ["${scope}"]`);
    const policy = compileText(
      textWith(
        scoped('a', 'items:read', { allowRequested: { order_id: orderId } }),
        scoped('b', 'items:write', {}),
      ),
    );
    const who = identity(id, { expiresAt: now / 1000 + 3600 });
    const asked = (scope: string) =>
      decide(
        who,
        { audience: inventory, scopes: [scope], additionalClaims: { order_id: 'a1' } },
        policy,
        now,
      );
    expect(asked('items:read')).toMatchObject({ permit: true });
    expect(asked('items:write')).toMatchObject({ permit: false, reason: 'request.claim_not_allowed' });
  });

  it('are bounded together with what grants add', () => {
    const grants = (length: number) => [
      grant('b', { set: { long: 'x'.repeat(length) } }),
      allow({ a: { type: 'string', maxLength: 1024 } }),
    ];
    const fits = 4096 - '{"long":"","a":""}'.length - 1000;
    expect(ask({ a: 'x'.repeat(1000) }, grants(fits))).toMatchObject({ permit: true });
    const decision = ask({ a: 'x'.repeat(1001) }, grants(fits));
    expect(decision).toMatchObject({ permit: false, reason: 'request.claims_too_large' });
    expect(new OAuthError('request.claims_too_large').code).toBe('invalid_request');
  });

  it('blame the policy where its own claims are too large already', () => {
    const grants = [grant('b', { copy: { long: 'long' } }), allow({ order_id: orderId })];
    const decision = ask({ order_id: 'a1' }, grants, { long: 'x'.repeat(4096) });
    expect(decision).toMatchObject({ permit: false, reason: 'policy.claims_too_large' });
  });

  it('are accepted only within the bounds of their schema', () => {
    const schema = {
      type: 'object',
      additionalProperties: false,
      required: ['id'],
      properties: {
        id: { type: 'string', maxLength: 4, pattern: '^[a-z]+$' },
        tags: { type: 'array', maxItems: 2, items: { enum: ['x', 'y'] }, uniqueItems: true },
        size: { type: 'integer', minimum: 0, maximum: 9 },
      },
    };
    const policy = compileText(textWith(allow({ a: schema })));
    const who = identity(id, { expiresAt: now / 1000 + 3600 });
    let taken = 0;
    const member = fc.record(
      {
        id: fc.constantFrom<unknown>('abc', 'abc', 'abc', 'abcde', 'a\n', '', 'A', 1, null),
        tags: fc.constantFrom<unknown>(['x'], ['x', 'y'], ['x', 'x'], ['x', 'y', 'x'], 'x', ['z']),
        size: fc.constantFrom<unknown>(0, 9, 10, 1.5, -1, '1', true),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(member, fc.constantFrom({}, {}, {}, { toString: 'x' }), (known, unknown) => {
        const a = { ...known, ...unknown };
        const own = (name: string, values: readonly unknown[]) =>
          !Object.hasOwn(a, name) ||
          values.some((value) => JSON.stringify(value) === JSON.stringify(Reflect.get(a, name)));
        const isIn =
          Object.hasOwn(a, 'id') &&
          !Object.hasOwn(a, 'toString') &&
          own('id', ['abc']) &&
          own('tags', [['x'], ['x', 'y']]) &&
          own('size', [0, 9]);
        const additionalClaims = JSON.parse(JSON.stringify({ a }));
        const decision = decide(who, { audience: inventory, additionalClaims }, policy, now);
        if (isIn) taken++;
        expect(decision.permit ? 'permit' : decision.reason).toBe(isIn ? 'permit' : 'request.claim_invalid');
      }),
      { numRuns: 2000, seed: 20261124 },
    );
    expect(taken).toBeGreaterThan(20);
  });

  it('are matched in linear time', () => {
    const policy = [allow({ a: { type: 'string', maxLength: 1024, pattern: '^(a*)*b$' } })];
    const decision = ask({ a: 'a'.repeat(1024) }, policy); // the backtracking of JavaScript would not end
    expect(decision).toMatchObject({ permit: false, reason: 'request.claim_invalid' });
  });
});

describe('schemas of claims.allowRequested', () => {
  const deep = (levels: number): object =>
    levels === 0 ? { type: 'boolean' } : { type: 'array', maxItems: 2, items: deep(levels - 1) };

  it.each([
    ['no schema', { a: true }, '', /^must be a mapping/],
    ['no type', { a: {} }, '.type', /^must be one of string, number, integer, boolean, array, object$/],
    ['an unknown type', { a: { type: 'text' } }, '.type', /^must be one of string/],
    ['null', { a: { type: 'null' } }, '.type', /^must be one of string/],
    ['several types', { a: { type: ['string', 'null'], maxLength: 8 } }, '.type', /^must be one of string/],
    [
      'text without a bound',
      { a: { type: 'string' } },
      '',
      /^bounds no text: write maxLength, at most 1024$/,
    ],
    ['text with a great bound', { a: { type: 'string', maxLength: 1025 } }, '.maxLength', /from 0 to 1024$/],
    ['a bound that is text', { a: { type: 'string', maxLength: '64' } }, '.maxLength', /from 0 to 1024$/],
    ['a list without a bound', { a: { type: 'array', items: { type: 'boolean' } } }, '', /^bounds no list/],
    ['a list of anything', { a: { type: 'array', maxItems: 2 } }, '', /^bounds no list/],
    [
      'a list with a great bound',
      { a: { type: 'array', maxItems: 65, items: { type: 'boolean' } } },
      '.maxItems',
      /from 0 to 64$/,
    ],
    [
      'an open object',
      { a: { type: 'object' } },
      '',
      /^bounds no object: write additionalProperties: false$/,
    ],
    [
      'an object that says so',
      { a: { type: 'object', additionalProperties: true } },
      '.additionalProperties',
      /^must be false$/,
    ],
    [
      'unbounded text within a list',
      { a: { type: 'array', maxItems: 2, items: { type: 'string' } } },
      '.items',
      /^bounds no text/,
    ],
    [
      'unbounded text within an object',
      { a: { type: 'object', additionalProperties: false, properties: { b: { type: 'string' } } } },
      '.properties.b',
      /^bounds no text/,
    ],
    [
      'an unknown member as required',
      { a: { type: 'object', additionalProperties: false, required: ['b'] } },
      '.required',
      /^must be a list of names that stand in properties/,
    ],
    [
      'properties that are none',
      { a: { type: 'object', additionalProperties: false, properties: [] } },
      '.properties',
      /^must be a mapping of names/,
    ],
    ['a remote reference', { a: { $ref: 'https://schemas.example/a.json' } }, '.type', /^must be one of/],
    [
      'a reference beside a type',
      { a: { type: 'boolean', $ref: '#/b' } },
      '.$ref',
      /^a schema refers to no other: write it out$/,
    ],
    [
      'a reference below an enum',
      { a: { type: 'array', enum: ['a'], items: { type: 'boolean', $ref: 'https://x.example' } } },
      '.items.$ref',
      /^a schema refers to no other/,
    ],
    [
      'a format',
      { a: { type: 'string', maxLength: 8, format: 'email' } },
      '.format',
      /^formats are not checked: write pattern instead$/,
    ],
    [
      'a misspelt keyword',
      { a: { type: 'string', maxlength: 8, maxLength: 8 } },
      '.maxlength',
      /^"maxlength" is no keyword of a schema of type string here: did you mean "maxLength"\?$/,
    ],
    [
      'a keyword of another type',
      { a: { type: 'boolean', maxLength: 8 } },
      '.maxLength',
      /is no keyword of a schema of type boolean here/,
    ],
    [
      'a keyword that JavaScript knows',
      { a: { type: 'boolean', constructor: 1 } },
      '.constructor',
      /is no keyword/,
    ],
    ['an empty enum', { a: { enum: [] } }, '.enum', /^must be a list of 1 to 64/],
    ['an enum of objects', { a: { enum: [{}] } }, '.enum', /^must be a list of 1 to 64/],
    ['a const that is null', { a: { const: null } }, '.const', /^must be a string, a number/],
    ['a bound that is no number', { a: { type: 'number', minimum: '1' } }, '.minimum', /^must be a number$/],
    ['a factor of nothing', { a: { type: 'number', multipleOf: 0 } }, '.multipleOf', /^must be above 0$/],
    [
      'an unanchored pattern',
      { a: { ...orderId, pattern: '[a-z]+' } },
      '.pattern',
      /^must begin with \^ and end with \$/,
    ],
    [
      'a pattern whose end is escaped',
      { a: { ...orderId, pattern: '^a\\$' } },
      '.pattern',
      /^is not an RE2 expression/,
    ],
    [
      'a half-anchored pattern',
      { a: { ...orderId, pattern: '^a|b$' } },
      '.pattern',
      /^holds "\|" outside of parentheses/,
    ],
    [
      'a pattern with lookahead',
      { a: { ...orderId, pattern: '^(?=a)b$' } },
      '.pattern',
      /^is not an RE2 expression/,
    ],
    [
      'a pattern that is large',
      { a: { ...orderId, pattern: '^(?:[a-z]{1,99}){1,99}$' } },
      '.pattern',
      /^is too large|^is not an RE2/,
    ],
    [
      'a long pattern',
      { a: { ...orderId, pattern: `^${'a'.repeat(257)}$` } },
      '.pattern',
      /^is longer than 256 characters$/,
    ],
    ['schemas five deep', { a: deep(4) }, '.items.items.items.items', /^lies deeper than 4 schemas/],
    [
      'a long schema',
      { a: { type: 'boolean', title: 'x'.repeat(4096) } },
      '',
      /^is longer than 4096 characters of JSON$/,
    ],
  ] as const)('are refused with %s', (_what, schemas, field, message) => {
    expect(problemsOf(textWith(allow(schemas)))).toEqual([
      expect.objectContaining({
        document: 'Grant/a',
        field: expect.stringMatching(/^spec\.claims\.allowRequested\.a/),
        message: expect.stringMatching(message),
      }),
    ]);
    const [problem] = problemsOf(textWith(allow(schemas)));
    const path = problem?.field
      .slice('spec.claims.allowRequested.a'.length)
      .replaceAll(/\["(\$ref)"\]/g, '.$1');
    expect(path).toBe(field);
  });

  it('are taken where they bound what they allow', () => {
    const schemas = [
      orderId,
      deep(3),
      { enum: ['a', 1, true] },
      { const: 'a', title: 'A', description: 'the a' },
      { type: 'number', minimum: 0, exclusiveMaximum: 1, multipleOf: 0.5 },
      {
        type: 'object',
        additionalProperties: false,
        properties: { constructor: orderId },
        required: ['constructor'],
      },
      { ...orderId, pattern: '^(?:a|b\\|)$' },
    ];
    for (const a of schemas) expect(() => compileText(textWith(allow({ a })))).not.toThrow();
  });

  it('compile whenever nothing is wrong with them, and then take or refuse any value', () => {
    const count = fc.oneof(fc.integer({ min: -1, max: 70 }), fc.constant('1'));
    const { schema } = fc.letrec((tie) => ({
      schema: fc.record(
        {
          type: fc.constantFrom('string', 'number', 'integer', 'boolean', 'array', 'object', 'text'),
          enum: fc.array(fc.oneof(fc.string(), fc.double(), fc.constant(null)), { maxLength: 3 }),
          const: fc.oneof(fc.string(), fc.boolean()),
          maxLength: count,
          minItems: count,
          maxItems: count,
          uniqueItems: fc.boolean(),
          pattern: fc.oneof(
            fc.string().map((text) => `^${text}$`),
            fc.constant('^[a-z]+$'),
            fc.string(),
          ),
          minimum: fc.double(),
          multipleOf: fc.double(),
          items: fc.oneof({ maxDepth: 3 }, fc.constant({ type: 'boolean' }), tie('schema')),
          additionalProperties: fc.boolean(),
          properties: fc.dictionary(
            fc.string(),
            fc.oneof({ maxDepth: 3 }, fc.constant({ const: 1 }), tie('schema')),
            { maxKeys: 2 },
          ),
          required: fc.array(fc.string(), { maxLength: 1 }),
        },
        { requiredKeys: ['type'] },
      ),
    }));
    /** Leaves the keywords that the schema's type has, so that some are sound. */
    const fitting = schema.map((value) => {
      const { type, ...keywords } = value as { type: string };
      const fits: Record<string, readonly string[]> = {
        string: ['maxLength', 'pattern'],
        number: ['minimum', 'multipleOf'],
        integer: ['minimum'],
        array: ['items', 'minItems', 'maxItems', 'uniqueItems'],
        object: ['additionalProperties', 'properties', 'required'],
      };
      const entries = Object.entries(keywords).filter(
        ([name]) => fits[type]?.includes(name) || name === 'enum',
      );
      return { type, ...Object.fromEntries(entries) };
    });
    let compiled = 0;
    fc.assert(
      fc.property(fc.oneof(fitting, schema), fc.jsonValue(), (schema, value) => {
        const text = JSON.stringify(schema);
        const read: object = JSON.parse(text);
        if (problemsOfClaimSchema(read, text.length).length > 0) return;
        compiled++;
        expect(typeof compileRequestedClaim(read, text).accepts(JSON.parse(JSON.stringify(value)))).toBe(
          'boolean',
        );
      }),
      { numRuns: 1000, seed: 20261124 },
    );
    expect(compiled).toBeGreaterThan(50);
  });

  it.each([
    ['sub', /^"sub" is a claim that only the exchange itself gives$/],
    ['cnf', /^"cnf" is a claim that only the exchange itself gives$/],
    ['roles', /^"roles" is not a caller's to ask for/],
    ['groups', /^"groups" is not a caller's to ask for/],
    ['entitlements', /^"entitlements" is not a caller's to ask for/],
    ['a b', /^a claim name is 1 to 256 letters/],
    ['tenant', /^"tenant" is set or copied by this grant too$/],
    ['team', /^"team" is set or copied by this grant too$/],
  ])('are refused under the name %s', (name, message) => {
    const claims = { set: { tenant: 'acme' }, copy: { team: 'team' }, allowRequested: { [name]: orderId } };
    expect(problemsOf(textWith(grant('a', claims)))).toEqual([
      expect.objectContaining({ document: 'Grant/a', message: expect.stringMatching(message) }),
    ]);
  });

  it('are at most 32 a grant, and 256 different ones a policy', () => {
    const named = (count: number, from: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`c${index}`, { const: from + index }]));
    const grants = Array.from({ length: 8 }, (_, index) => allow(named(32, index * 32), exact, `g${index}`));
    const again = allow(named(32, 0), prefix, 'again');
    expect(() => compileText(textWith(...grants, again))).not.toThrow();
    expect(problemsOf(textWith(...grants, allow(named(1, 256), exact, 'more')))).toEqual([
      expect.objectContaining({
        message: expect.stringMatching(/^the policy holds more than 256 different schemas/),
      }),
    ]);
    expect(problemsOf(textWith(allow(named(33, 0))))).toEqual([
      expect.objectContaining({ message: 'must hold at most 32 claims' }),
    ]);
  });

  it('are compiled once for each text, whatever the number of grants and revisions', () => {
    const schemaOf = (policy: ReturnType<typeof compileText>) => {
      const resource = policy.resourcesByAudience.get(inventory);
      const grants = resource === undefined ? [] : policy.grantsFor(identity(id), resource);
      return new Set(grants.map(({ claims }) => claims.allowRequested.get('a')));
    };
    const two = textWith(allow({ a: orderId }), allow({ a: { ...orderId } }, prefix, 'b'));
    const first = schemaOf(compileText(two));
    expect(first.size).toBe(1);
    expect(schemaOf(compileText(two))).toEqual(first);
    expect([...schemaOf(compileText(two))][0]).toBe([...first][0]);
  });
});
