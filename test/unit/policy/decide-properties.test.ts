import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Decision, decide } from '../../../src/core/decide.ts';
import { matchesSubject } from '../../../src/core/match.ts';
import { compilePolicy } from '../../../src/core/policy/compile.ts';
import type { GrantDocument } from '../../../src/core/policy/document.ts';
import type { PolicySource } from '../../../src/core/policy/source.ts';
import { context, identity } from './example-policy.ts';

type SubjectEntry = GrantDocument['spec']['subjects'][number];

const now = Date.parse('2026-06-01T00:00:00Z');
const document = (kind: string, name: string, spec: object): PolicySource => ({
  value: { apiVersion: 'mintmark/v1', kind, metadata: { name }, spec },
  managedBy: 'rest',
  locate: () => ({}),
});

const scopes = ['r', 'w', 'x'];
const base = [
  document('Resource', 'one', { audience: 'https://one.example', scopes, tokenLifetime: '5m' }),
  document('Resource', 'two', { audience: 'https://two.example', scopes: ['r'], tokenLifetime: '1h' }),
  document('TrustDomain', 'prod.example', { bundle: { url: 'https://b.example', profile: 'https_web' } }),
  document('TrustDomain', 'a', { bundle: { url: 'https://b.example', profile: 'https_web' } }),
  document('Issuer', 'ci', { platform: 'oidc', issuer: 'https://ci.example' }),
  document('Issuer', 'a', { platform: 'oidc', issuer: 'https://a.example' }),
];

const domain = fc.constantFrom('prod.example', 'mintmark.example', 'a');
const path = fc.array(fc.constantFrom('a', 'ab', 'b', 'abc'), { minLength: 1, maxLength: 4 });
const spiffeId = fc.tuple(domain, path).map(([name, segments]) => `spiffe://${name}/${segments.join('/')}`);
const pattern = fc
  .tuple(domain, fc.constantFrom('.*', 'a.*', 'ab?/.*', '[^/]+', '(?:a|ab|abc)(?:/b)*'))
  .map(([name, text]) => `spiffe://${name.replaceAll('.', '\\.')}/${text}`);
const subject: fc.Arbitrary<SubjectEntry> = fc.oneof(
  spiffeId.map((id) => ({ spiffeId: id })),
  spiffeId.map((id) => ({ prefix: id })),
  pattern.map((text) => ({ pattern: text })),
  domain.map((name) => ({ trustDomain: name })),
  fc.constantFrom('ci', 'a').map((name) => ({ issuer: name })),
);
const grantSpec = fc
  .record({
    subjects: fc.array(subject, { minLength: 1, maxLength: 3 }),
    resource: fc.constantFrom('one', 'two'),
    asked: fc.subarray(scopes),
    defaults: fc.integer({ min: 0, max: 3 }),
    lifetime: fc.option(fc.integer({ min: 1, max: 900 }), { nil: undefined }),
    isDefault: fc.boolean(),
    millisLeft: fc.option(fc.integer({ min: -5000, max: 900_000 }), { nil: undefined }),
  })
  .map(({ subjects, resource, asked, defaults, lifetime, isDefault, millisLeft }) => {
    const given = resource === 'two' ? asked.filter((scope) => scope === 'r') : asked;
    return {
      subjects,
      acknowledgeWide: true,
      resource,
      scopes: given,
      defaultScopes: given.slice(0, defaults),
      default: isDefault,
      ...(lifetime === undefined ? {} : { maxTokenLifetime: `${lifetime}s` }),
      ...(millisLeft === undefined ? {} : { notAfter: new Date(now + millisLeft).toISOString() }),
    };
  });
const grants = fc.array(grantSpec, { maxLength: 12 });
const caller = fc
  .record({
    id: spiffeId,
    issuer: fc.constantFrom(undefined, 'ci', 'a'),
    kind: fc.constantFrom('platform-token' as const, 'jwt-svid' as const),
    secondsLeft: fc.oneof(fc.integer({ min: -5, max: 4000 }), fc.constant(3000)),
  })
  .map(({ id, issuer, kind, secondsLeft }) =>
    identity(id, {
      credentialKind: kind,
      expiresAt: now / 1000 + secondsLeft,
      ...(issuer === undefined ? {} : { issuer }),
    }),
  );
const asked = fc.record({
  audience: fc.constantFrom(undefined, 'https://one.example', 'https://two.example', 'https://three.example'),
  scopes: fc.option(fc.subarray([...scopes, 'unknown']), { nil: undefined }),
});

const sourcesOf = (specs: readonly object[]) => [
  ...base,
  ...specs.map((spec, index) => document('Grant', `g${index}`, spec)),
];
/** A compiled pattern holds functions, which never equal each other. */
const comparable = (decision: Decision) => ({
  ...decision,
  grants: (decision.permit ? decision.grants : []).map((grant) => ({
    ...grant,
    subjects: grant.subjects.map((entry) => ('pattern' in entry ? entry.pattern : entry)),
  })),
});
const compile = (sources: readonly PolicySource[]) => compilePolicy(sources, context, 1);

describe('properties of decide', () => {
  it('the index finds what a scan over all grants finds', () => {
    let found = 0;
    fc.assert(
      fc.property(grants, caller, (specs, who) => {
        const policy = compile(sourcesOf(specs));
        for (const resource of policy.resourcesByAudience.values()) {
          const all = policy.grantsOn(resource, 100);
          const scanned = all.filter((grant) => grant.subjects.some((entry) => matchesSubject(entry, who)));
          expect(policy.grantsFor(who, resource)).toEqual(scanned);
          found += scanned.length;
          const defaults = policy.defaultGrantsFor(who).filter((grant) => grant.resource === resource);
          expect(defaults).toEqual(scanned.filter((grant) => grant.isDefault));
        }
      }),
      { numRuns: 500 },
    );
    expect(found).toBeGreaterThan(100);
  });

  it('grants that are observed, or whose condition does not hold, decide as if they were not there', () => {
    const frame = fc.constantFrom(
      { counts: true, fields: {} },
      { counts: true, fields: { condition: 'claims.n == 1' } },
      { counts: false, fields: { condition: 'claims.n == 2' } },
      { counts: false, fields: { condition: 'claims.missing != 1' } },
      { counts: false, fields: { mode: 'observe' } },
      { counts: false, fields: { mode: 'observe', condition: 'claims.n == 1' } },
    );
    const outcomeOf = (decision: Decision) =>
      decision.permit
        ? [
            decision.scopes,
            decision.lifetimeSeconds,
            decision.resource.name,
            decision.grants.map(({ name }) => name),
          ]
        : decision.reason;
    const framed = fc.array(fc.tuple(grantSpec, frame), { maxLength: 12 });
    let permitted = 0;
    fc.assert(
      fc.property(framed, caller, asked, (pairs, who, request) => {
        const named = pairs.map(([spec, { counts, fields }], index) => ({
          counts,
          plain: document('Grant', `g${index}`, spec),
          framed: document('Grant', `g${index}`, { ...spec, ...fields }),
        }));
        const all = compile([...base, ...named.map((entry) => entry.framed)]);
        const counting = compile([
          ...base,
          ...named.filter(({ counts }) => counts).map(({ plain }) => plain),
        ]);
        const claimant = { ...who, claims: { n: 1 } };
        const decision = decide(claimant, request, all, now);
        expect(outcomeOf(decision)).toEqual(outcomeOf(decide(claimant, request, counting, now)));
        if (decision.permit) permitted += 1;
      }),
      { numRuns: 1000 },
    );
    expect(permitted).toBeGreaterThan(20);
  });

  it('a permit stays within the resource, the grants and every bound in time', () => {
    let permitted = 0;
    fc.assert(
      fc.property(grants, caller, asked, (specs, who, request) => {
        const policy = compile(sourcesOf(specs));
        const decision = decide(who, request, policy, now);
        expect(decision.checks.length).toBeGreaterThan(0);
        expect(decision.checks.length).toBeLessThanOrEqual(32);
        if (!decision.permit) return;
        permitted += 1;
        const { resource, lifetimeSeconds } = decision;
        const given = new Set(decision.grants.flatMap((grant) => [...grant.scopes]));
        expect(decision.scopes.every((scope) => resource.scopes.has(scope) && given.has(scope))).toBe(true);
        if (request.scopes !== undefined) expect(decision.scopes).toEqual(request.scopes);
        expect(decision.grants.length).toBeGreaterThan(0);
        expect(Number.isInteger(lifetimeSeconds) && lifetimeSeconds >= 1).toBe(true);
        const bounds = [
          resource.tokenLifetimeSeconds,
          who.expiresAt - now / 1000,
          ...decision.grants.map((grant) => grant.maxTokenLifetimeSeconds ?? Infinity),
          ...decision.grants.map((grant) => ((grant.notAfter ?? Infinity) - now) / 1000),
        ];
        for (const bound of bounds) expect(lifetimeSeconds).toBeLessThanOrEqual(bound);
        for (const grant of decision.grants) {
          expect(grant.subjects.some((entry) => matchesSubject(entry, who))).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
    expect(permitted).toBeGreaterThan(20);
  });

  it('another grant never takes away what was permitted for a target that is named', () => {
    let permitted = 0;
    fc.assert(
      fc.property(grants, grantSpec, caller, asked, (specs, more, who, request) => {
        const target = { ...request, audience: request.audience ?? 'https://one.example' };
        const before = decide(who, target, compile(sourcesOf(specs)), now);
        if (!before.permit) return;
        permitted += 1;
        const after = decide(who, target, compile(sourcesOf([...specs, more])), now);
        expect(after.permit).toBe(true);
        if (after.permit) expect(new Set(before.scopes).isSubsetOf(new Set(after.scopes))).toBe(true);
      }),
      { numRuns: 1000 },
    );
    expect(permitted).toBeGreaterThan(20);
  });

  it('the order of documents never matters', () => {
    fc.assert(
      fc.property(grants, caller, asked, fc.infiniteStream(fc.nat()), (specs, who, request, dice) => {
        const sources = sourcesOf(specs);
        const shuffled = sources
          .map((source) => ({ source, rank: dice.next().value ?? 0 }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ source }) => source);
        expect(comparable(decide(who, request, compile(shuffled), now))).toEqual(
          comparable(decide(who, request, compile(sources), now)),
        );
      }),
      { numRuns: 300 },
    );
  });

  it('never throws, whatever the times and strings', () => {
    const policy = compile(
      sourcesOf([{ subjects: [{ trustDomain: 'a' }], acknowledgeWide: true, resource: 'one' }]),
    );
    fc.assert(
      fc.property(
        fc.string(),
        fc.double(),
        fc.double(),
        fc.array(fc.string()),
        (audience, at, expiresAt, list) => {
          const who = identity('spiffe://a/b', { expiresAt });
          expect(typeof decide(who, { audience, scopes: list }, policy, at).permit).toBe('boolean');
          const known = decide(who, { audience: 'https://one.example', scopes: [] }, policy, at);
          if (known.permit) expect(known.lifetimeSeconds).toBeGreaterThanOrEqual(1);
        },
      ),
    );
  });
});
