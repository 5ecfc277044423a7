import { describe, expect, it } from 'vitest';
import { type AskedFor, decide } from '../../../src/core/decide.ts';
import type { IdentityFields } from '../../../src/core/identity.ts';
import { compileText, exampleText, identity } from './example-policy.ts';

const now = Date.parse('2026-06-01T00:00:00Z');
const nowSeconds = now / 1000;
const inventory = 'https://inventory.internal.example';

const grant = (name: string, spec: string) =>
  `---\napiVersion: mintmark/v1\nkind: Grant\nmetadata: { name: ${name} }\nspec: ${spec}\n`;
const text = `${exampleText}---
apiVersion: mintmark/v1
kind: Resource
metadata: { name: billing }
spec: { audience: https://billing.example, scopes: [pay] }
${grant('orders-writes', '{ subjects: [ { spiffeId: spiffe://prod.example/orders } ], resource: inventory, scopes: [items:write], maxTokenLifetime: 2m, default: true }')}${grant('payer-a', '{ subjects: [ { prefix: spiffe://prod.example/payer } ], resource: billing, scopes: [pay], default: true }')}${grant('payer-b', '{ subjects: [ { spiffeId: spiffe://prod.example/payer/two } ], resource: inventory, default: true, notAfter: 2026-06-01T00:01:00Z }')}`;
const policy = compileText(text);

const orders = identity('spiffe://prod.example/orders', { expiresAt: nowSeconds + 3600 });
const decided = (request: AskedFor, who: IdentityFields = orders, at = now) =>
  decide(who, request, policy, at);
const names = (decision: ReturnType<typeof decided>) =>
  decision.permit ? decision.grants.map(({ name }) => name) : [];

describe('decide', () => {
  it('permits what a grant gives, for as long as the shortest bound', () => {
    const decision = decided({ audience: inventory, scopes: ['items:read'] });
    expect(decision).toMatchObject({ permit: true, scopes: ['items:read'], lifetimeSeconds: 300 });
    expect(names(decision)).toEqual(['orders']);
  });

  it('joins grants, keeps the order that was asked for, and takes the shortest lifetime', () => {
    const decision = decided({ audience: inventory, scopes: ['items:write', 'items:read'] });
    expect(decision).toMatchObject({ scopes: ['items:write', 'items:read'], lifetimeSeconds: 120 });
    expect(names(decision)).toEqual(['orders', 'orders-writes']);
  });

  it('gives the default scopes where none is asked for, and counts only the grants that give them', () => {
    const decision = decided({ audience: inventory, scopes: undefined });
    expect(decision).toMatchObject({ permit: true, scopes: ['items:read'], lifetimeSeconds: 300 });
    expect(names(decision)).toEqual(['orders']);
  });

  it('gives a token without scopes where there are no defaults; then every grant contributes', () => {
    const payer = identity('spiffe://prod.example/payer', { expiresAt: nowSeconds + 3600 });
    const decision = decided({ audience: 'https://billing.example' }, payer);
    expect(decision).toMatchObject({ permit: true, scopes: [], lifetimeSeconds: 600 });
    expect(names(decided({ audience: inventory, scopes: [] }))).toEqual(['orders', 'orders-writes']);
  });

  it('never narrows: one scope too many refuses all', () => {
    const decision = decided({ audience: inventory, scopes: ['items:read', 'items:delete'] });
    expect(decision).toMatchObject({ permit: false, reason: 'policy.scope_not_permitted' });
    expect(decision.checks.at(-1)).toEqual({
      check: 'scope',
      ok: false,
      expected: 'among: items:read items:write',
      actual: 'not permitted: items:delete',
    });
  });

  it('says of each grant in force which scope it lacks, and names a grant that gives it to another, the nearest first', () => {
    const spec = (path: string) =>
      `{ subjects: [ { spiffeId: spiffe://prod.example/${path} } ], resource: inventory, scopes: [items:write] }`;
    const more = compileText(
      `${text}${grant('a-far', spec('zebra'))}${grant('b-near', spec('team-a-lead'))}`,
    );
    const teamMate = identity('spiffe://prod.example/team-a/x', { expiresAt: nowSeconds + 60 });
    const { checks } = decide(teamMate, { audience: inventory, scopes: ['items:write'] }, more, now);
    expect(checks.filter(({ ok }) => !ok)).toEqual([
      {
        check: 'grant.scopes',
        grant: 'orders',
        ok: false,
        expected: 'among: items:read',
        actual: 'asked for: items:write',
      },
      ...[
        ['b-near', 'team-a-lead'],
        ['a-far', 'zebra'],
        ['orders-writes', 'orders'],
      ].map(([name, path]) => ({
        check: 'grant.subject',
        grant: name,
        ok: false,
        expected: `spiffeId spiffe://prod.example/${path}`,
        actual: 'spiffe://prod.example/team-a/x',
      })),
      {
        check: 'scope',
        ok: false,
        expected: 'among: items:read',
        actual: 'not permitted: items:write',
      },
    ]);
  });

  it('names the nearest grants where none covers the identity, however late their names come', () => {
    const spec = (path: string) =>
      `{ subjects: [ { spiffeId: spiffe://prod.example/${path} } ], resource: inventory, scopes: [items:read] }`;
    const many = Array.from({ length: 60 }, (_, index) => grant(`many-${index}`, spec(`other-${index}`)));
    const more = compileText(`${text}${many.join('')}${grant('zz-near', spec('payers/one'))}`);
    const who = identity('spiffe://prod.example/payers/two', { expiresAt: nowSeconds + 60 });
    const { checks } = decide(who, { audience: inventory }, more, now);
    expect(checks.filter(({ check }) => check === 'grant.subject').map((check) => check.grant)).toHaveLength(
      8,
    );
    expect(checks[1]).toMatchObject({ grant: 'zz-near', ok: false });
  });

  it('refuses an audience that no resource has', () => {
    expect(decided({ audience: `${inventory}/` })).toEqual({
      permit: false,
      reason: 'policy.unknown_resource',
      checks: [
        { check: 'resource', ok: false, expected: 'the audience of a Resource', actual: `${inventory}/` },
      ],
    });
  });

  it('refuses where no grant covers the identity, and says whom the resource’s grants are for', () => {
    const stranger = identity('spiffe://prod.example/ordersx');
    const decision = decided({ audience: inventory }, stranger);
    expect(decision).toMatchObject({
      permit: false,
      reason: 'policy.no_grant',
      resource: { name: 'inventory' },
    });
    expect(decision.checks).toContainEqual({
      check: 'grant.subject',
      grant: 'orders-writes',
      ok: false,
      expected: 'spiffeId spiffe://prod.example/orders',
      actual: 'spiffe://prod.example/ordersx',
    });
  });

  it('refuses once a grant is over, and says since when', () => {
    const late = Date.parse('2027-01-01T00:00:00Z');
    const teamMate = identity('spiffe://prod.example/team-a/x', { expiresAt: late / 1000 + 3600 });
    expect(decided({ audience: inventory }, teamMate, late - 1000)).toMatchObject({
      permit: true,
      lifetimeSeconds: 1,
    });
    const decision = decided({ audience: inventory }, teamMate, late - 999);
    expect(decision).toMatchObject({ permit: false, reason: 'policy.no_grant' });
    expect(decision.checks).toContainEqual({
      check: 'grant.notAfter',
      grant: 'orders',
      ok: false,
      expected: 'before 2027-01-01T00:00:00.000Z',
      actual: '2026-12-31T23:59:59.001Z',
    });
  });

  it('never lets a token outlive its credential or its grant', () => {
    const ending = { ...orders, expiresAt: nowSeconds + 40 };
    expect(decided({ audience: inventory }, ending, now + 100)).toMatchObject({ lifetimeSeconds: 39 });
    const payer = identity('spiffe://prod.example/payer/two', { expiresAt: nowSeconds + 3600 });
    expect(decided({ audience: inventory }, payer)).toMatchObject({ lifetimeSeconds: 60 });
  });

  it.each([nowSeconds, nowSeconds - 10, nowSeconds + 0.5, Number.NaN, Number.NEGATIVE_INFINITY])(
    'refuses a credential that ends at %d, or within the second',
    (expiresAt) => {
      const decision = decided({ audience: inventory }, { ...orders, expiresAt });
      expect(decision).toMatchObject({ permit: false, reason: 'credential.expired' });
    },
  );

  it('refuses at a time that is not a number', () => {
    expect(decided({ audience: inventory }, orders, Number.NaN).permit).toBe(false);
  });

  it('finds the target by the default grants, where they agree', () => {
    const found = decided({});
    expect(found).toMatchObject({ permit: true, resource: { name: 'inventory' } });
    expect(found.checks.filter(({ check }) => check === 'target.default')).toEqual([
      {
        check: 'target.default',
        ok: true,
        expected: 'default grants for exactly one resource',
        actual: 'inventory',
      },
    ]);
    // What the grants add is checked where they add something alone, and no check stands there twice.
    const named = decided({ audience: inventory }).checks.map(({ check }) => check);
    expect(found.checks.map(({ check }) => check).slice(1)).toEqual(named.slice(1));
    expect(named.at(-1)).toBe('lifetime');
    const payer = identity('spiffe://prod.example/payer', { expiresAt: nowSeconds + 3600 });
    expect(decided({ audience: undefined }, payer)).toMatchObject({
      permit: true,
      resource: { name: 'billing' },
    });
  });

  it('refuses a request without a target where default grants disagree, until all but one are over', () => {
    const payer = identity('spiffe://prod.example/payer/two', { expiresAt: nowSeconds + 3600 });
    expect(decided({}, payer)).toEqual({
      permit: false,
      reason: 'policy.no_default_target',
      checks: [
        {
          check: 'target.default',
          ok: false,
          expected: 'default grants for exactly one resource',
          actual: 'billing, inventory',
        },
        expect.objectContaining({ check: 'grant.subject', grant: 'payer-a', ok: true }),
        expect.objectContaining({ check: 'grant.subject', grant: 'payer-b', ok: true }),
      ],
    });
    expect(decided({}, payer, now + 60_000)).toMatchObject({ permit: true, resource: { name: 'billing' } });
  });

  it('refuses a request without a target where there is no default grant', () => {
    const decision = decided({}, identity('spiffe://prod.example/team-a'));
    expect(decision).toMatchObject({
      permit: false,
      reason: 'policy.no_default_target',
      checks: [{ check: 'target.default', ok: false, actual: 'none' }],
    });
  });

  it('bounds its trace', () => {
    const spec =
      '{ subjects: [ { spiffeId: spiffe://prod.example/many } ], resource: inventory, scopes: [items:read] }';
    const many = Array.from({ length: 60 }, (_, index) => grant(`many-${index}`, spec)).join('');
    const who = identity('spiffe://prod.example/many', { expiresAt: nowSeconds + 60 });
    const { checks } = decide(who, { audience: inventory }, compileText(text + many), now);
    expect(checks.length).toBeLessThanOrEqual(32);
    expect(checks).toContainEqual({ check: 'grant', ok: true, actual: '36 more grants are not listed' });
    const long = decide(who, { audience: 'x'.repeat(5000) }, policy, now);
    expect(JSON.stringify(long.checks).length).toBeLessThan(1000);
  });
});

describe('who a subject covers', () => {
  const permits = (who: IdentityFields) =>
    decide({ ...who, expiresAt: nowSeconds + 60 }, { audience: inventory }, policy, now).permit;

  it.each([
    ['an exact ID', 'spiffe://prod.example/orders', true],
    ['nothing below an exact ID', 'spiffe://prod.example/orders/x', false],
    ['a prefix itself', 'spiffe://prod.example/team-a', true],
    ['what lies below a prefix', 'spiffe://prod.example/team-a/b/c', true],
    ['no longer segment', 'spiffe://prod.example/team-ab', false],
    ['no shorter ID', 'spiffe://prod.example/team', false],
    ['no other trust domain', 'spiffe://prod.example.evil/team-a', false],
    ['a whole trust domain', 'spiffe://lab.example/anything', true],
    ['no trust domain that only begins alike', 'spiffe://lab.example.evil/anything', false],
  ])('%s', (_, id, permitted) => expect(permits(identity(id))).toBe(permitted));

  it('an issuer, by its document’s name and for platform tokens alone', () => {
    const id = 'spiffe://mintmark.example/prod-cluster/ns/a/sa/b';
    expect(permits(identity(id, { issuer: 'prod-cluster', credentialKind: 'platform-token' }))).toBe(true);
    expect(permits(identity(id, { issuer: 'prod-cluster', credentialKind: 'jwt-svid' }))).toBe(false);
    expect(permits(identity(id, { issuer: 'edge', credentialKind: 'platform-token' }))).toBe(false);
    expect(permits(identity(id, { credentialKind: 'platform-token' }))).toBe(false);
  });
});
