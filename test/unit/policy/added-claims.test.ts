/** What grants add to a token: refused when written where it can be seen, else at the exchange, never a silent winner. */
import { describe, expect, it } from 'vitest';
import { decide } from '../../../src/core/decide.ts';
import { OAuthError, type Reason } from '../../../src/core/error.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { compileText, exampleText, identity, problemsOf } from './example-policy.ts';

const now = Date.parse('2026-06-01T00:00:00Z');
const inventory = 'https://inventory.internal.example';
const id = 'spiffe://prod.example/adder/one';
const exact = `spiffeId: ${id}`;
const prefix = 'prefix: spiffe://prod.example/adder';

const grant = (name: string, subject: string, claims: string) =>
  `---\napiVersion: mintmark/v1\nkind: Grant\nmetadata: { name: ${name} }\nspec: { subjects: [ { ${subject} } ], resource: inventory, claims: ${claims} }\n`;
const textWith = (...grants: string[]) => exampleText + grants.join('');
const decided = (verified: JsonObject, ...grants: string[]) => {
  const who = identity(id, { expiresAt: now / 1000 + 3600, claims: verified });
  return decide(who, { audience: inventory }, compileText(textWith(...grants)), now);
};
const codeOf = (reason: Reason) => new OAuthError(reason).code;

describe('claims that grants add', () => {
  it('sets and copies, and leaves out what the credential lacks', () => {
    const claims =
      '{ set: { tenant: acme, tags: [a, 1] }, copy: { repo: repository, ref: git.ref, gone: nowhere, none: nil } }';
    const decision = decided(
      { repository: 'acme/orders', git: { ref: 'main' }, nil: null },
      grant('a', exact, claims),
    );
    expect(decision).toMatchObject({ permit: true });
    expect(decision.permit && decision.claims).toEqual({
      tenant: 'acme',
      tags: ['a', 1],
      repo: 'acme/orders',
      ref: 'main',
    });
    expect(decision.checks.at(-1)).toMatchObject({ check: 'claims', ok: true });
    expect(decision.checks.at(-1)?.actual).toMatch(/ bytes: tenant tags repo ref$/);
  });

  it('joins the claims of all grants, where they agree', () => {
    const decision = decided(
      { tenant: 'acme' },
      grant('a', exact, '{ set: { tenant: acme, a: 1, deep: { x: 1, y: 2 } } }'),
      grant('b', prefix, '{ set: { b: 2, deep: { y: 2, x: 1 } }, copy: { tenant: tenant } }'),
    );
    expect(decision.permit && decision.claims).toEqual({ tenant: 'acme', a: 1, b: 2, deep: { x: 1, y: 2 } });
  });

  it('refuses two values for one claim, and names the claim without its values', () => {
    const decision = decided(
      { tenant: 'canary-value' },
      grant('a', exact, '{ set: { tenant: acme } }'),
      grant('b', prefix, '{ copy: { tenant: tenant } }'),
    );
    expect(decision).toMatchObject({ permit: false, reason: 'policy.claims_conflict' });
    expect(decision.checks.at(-1)).toEqual({
      check: 'claims',
      grant: 'b',
      ok: false,
      expected: 'one value for tenant',
      actual: 'another grant gives a different one',
    });
    expect(JSON.stringify(decision.checks)).not.toContain('canary-value');
    expect(codeOf('policy.claims_conflict')).toBe('server_error');
  });

  it('refuses a claim to copy that has two readings', () => {
    const decision = decided({ 'a.b': 1, a: { b: 2 } }, grant('a', exact, '{ copy: { b: a.b } }'));
    expect(decision).toMatchObject({ permit: false, reason: 'policy.claims_conflict' });
  });

  it('bounds what is added', () => {
    const copy = grant('a', exact, '{ copy: { long: long } }');
    const fits = 4096 - '{"long":""}'.length;
    expect(decided({ long: 'x'.repeat(fits) }, copy)).toMatchObject({ permit: true });
    expect(decided({ long: 'x'.repeat(fits + 1) }, copy)).toMatchObject({
      permit: false,
      reason: 'policy.claims_too_large',
    });
    expect(codeOf('policy.claims_too_large')).toBe('server_error');
  });
});

describe('claims of a Grant document', () => {
  const reserved =
    'iss sub aud exp nbf iat jti client_id scope cnf act may_act azp auth_time acr amr nonce at_hash sid';
  it.each(reserved.split(' '))('refuses the protocol claim %s', (name) => {
    const message = `"${name}" is a claim that only the exchange itself gives`;
    for (const field of ['set', 'copy']) {
      expect(problemsOf(textWith(grant('a', exact, `{ ${field}: { ${name}: x } }`)))).toEqual([
        expect.objectContaining({ document: 'Grant/a', field: `spec.claims.${field}.${name}`, message }),
      ]);
    }
  });

  it.each([
    ['a name that could collide', '{ set: { __x: 1 } }', /^a claim name is 1 to 256 letters/],
    ['a name with a space', '{ copy: { "a b": x } }', /^a claim name is 1 to 256 letters/],
    ['a path that is none', '{ copy: { a: "x..y" } }', /^must be the path of a claim/],
    ['a claim set and copied', '{ set: { a: 1 }, copy: { a: x } }', /is set by this grant too$/],
    ['too large a set', `{ set: { a: ${'x'.repeat(4096)} } }`, /^is larger than the 4096 bytes/],
  ])('refuses %s', (_title, claims, message) => {
    expect(problemsOf(textWith(grant('a', exact, claims)))).toEqual([
      expect.objectContaining({ document: 'Grant/a', message: expect.stringMatching(message) }),
    ]);
  });

  it('refuses __proto__ as a name', () => {
    expect(() => compileText(textWith(grant('a', exact, '{ set: { __proto__: 1 } }')))).toThrow();
  });

  it('refuses grants that set different values for the same subject, and takes equal ones', () => {
    const second = (value: string) => grant('b', exact, `{ set: { tenant: ${value} } }`);
    const first = grant('a', exact, '{ set: { tenant: acme } }');
    expect(problemsOf(textWith(first, second('other')))).toEqual([
      expect.objectContaining({
        document: 'Grant/b',
        field: 'spec.claims.set.tenant',
        message: expect.stringMatching(/sets another value for the same subject$/),
      }),
    ]);
    expect(() => compileText(textWith(first, second('acme')))).not.toThrow();
  });
});
