/** A policy changed a few grants at a time is the policy that compiling it whole gives. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decide } from '../../../src/core/decide.ts';
import { amendPolicy } from '../../../src/core/policy/amend.ts';
import { compilePolicy } from '../../../src/core/policy/compile.ts';
import type { PolicyEdits } from '../../../src/core/policy/edits.ts';
import { PolicyRefused } from '../../../src/core/policy/refused.ts';
import type { PolicySnapshot } from '../../../src/core/policy/snapshot.ts';
import type { PolicySource } from '../../../src/core/policy/source.ts';
import { sourcesFromStored } from '../../../src/core/policy/source.ts';
import { context, identity } from './example-policy.ts';

const now = Date.parse('2026-06-01T00:00:00Z');
const document = (kind: string, name: string, spec: object): PolicySource => ({
  value: { apiVersion: 'mintmark/v1', kind, metadata: { name }, spec },
  managedBy: 'rest',
  locate: () => ({}),
});
const orders = 'spiffe://prod.example/orders';
const base = [
  document('Resource', 'one', { audience: 'https://one.example', scopes: ['r', 'w'] }),
  document('Resource', 'two', { audience: 'https://two.example', scopes: ['r'] }),
  document('TrustDomain', 'prod.example', { bundle: { url: 'https://b.example', profile: 'https_web' } }),
  document('Issuer', 'ci', { platform: 'oidc', issuer: 'https://ci.example' }),
];
const grant = (name: string, spec: object = {}) =>
  document('Grant', name, { subjects: [{ spiffeId: orders }], resource: 'one', scopes: ['r'], ...spec });
const put = (...sources: PolicySource[]): PolicyEdits => ({ put: sources, remove: [] });
const remove = (name: string): PolicyEdits => ({ put: [], remove: [{ kind: 'Grant', name }] });
const compile = (...grants: PolicySource[]) => compilePolicy([...base, ...grants], context, 1);
const amend = (policy: PolicySnapshot, edits: PolicyEdits) => amendPolicy(policy, edits, context, 2);
const problemsOf = (work: () => unknown) => {
  try {
    work();
    return [];
  } catch (error) {
    if (!(error instanceof PolicyRefused)) throw error;
    return error.problems.map(({ document: name, field }) => `${name} ${field}`);
  }
};

describe('a change of a grant', () => {
  const asks = { audience: 'https://one.example', scopes: ['r'] };
  const isPermitted = (policy: PolicySnapshot | undefined) =>
    policy && decide(identity(orders), asks, policy, now).permit;

  it('takes effect, in the revision that it makes', () => {
    const empty = compile();
    const granted = amend(empty, put(grant('g')));
    expect([empty, granted].map(isPermitted)).toEqual([false, true]);
    expect(granted?.revision).toBe(2);
    expect(granted?.documents).toHaveLength(5);
    expect(granted && isPermitted(amend(granted, remove('g')))).toBe(false);
    expect(isPermitted(granted)).toBe(true); // what was in force is as it was
  });

  it('replaces the whole grant of that name', () => {
    const policy = amend(
      compile(grant('g'), grant('h', { resource: 'two' })),
      put(grant('g', { resource: 'two' })),
    );
    expect(isPermitted(policy)).toBe(false);
    const names = policy?.grantsFor(identity(orders), policy.basis.resources[1] ?? expect.fail());
    expect(names?.map(({ name }) => name)).toEqual(['g', 'h']);
  });

  it('is left to a compilation of everything where it reaches further', () => {
    const policy = compile(grant('plain'), grant('asking', { condition: 'claims.ref == "a"' }));
    const admin = { subjects: [{ spiffeId: orders }], resource: 'mintmark-admin', scopes: ['policy:read'] };
    const further: readonly PolicyEdits[] = [
      put(document('Resource', 'three', { audience: 'https://three.example' })),
      put(document('Issuer', 'ci', { platform: 'oidc', issuer: 'https://other.example' })),
      { put: [], remove: [{ kind: 'Issuer', name: 'ci' }] },
      put(document('Grant', 'admin', admin)),
      put(grant('plain', { condition: 'claims.environment == "a"' })), // a claim more for the audit to keep
      remove('asking'), // and one less
      put({ ...grant('x'), value: 'no document' }),
    ];
    expect(further.map((edits) => amend(policy, edits))).toEqual(further.map(() => undefined));
    expect(amend(policy, put(grant('plain', { condition: 'claims.ref == "b"' })))).toBeDefined();
  });
});

describe('a change that is not taken', () => {
  const wide = `spiffe://prod\\.example/${'[a-z]{1,40}'.repeat(20)}`;
  it.each<[string, readonly PolicySource[], PolicySource]>([
    ['of an unknown field', [], grant('g', { surprise: 1 })],
    ['of an unknown resource', [], grant('g', { resource: 'three' })],
    ['of a scope that the resource lacks', [], grant('g', { scopes: ['x'] })],
    ['of an unknown trust domain', [], grant('g', { subjects: [{ prefix: 'spiffe://other.example/a' }] })],
    ['of a condition that is none', [], grant('g', { condition: 'claims.' })],
    [
      'that sets a claim to another value',
      [grant('f', { claims: { set: { tenant: 'a' } } })],
      grant('g', { claims: { set: { tenant: 'b' } } }),
    ],
    [
      'whose pattern is too dear beside the others',
      Array.from({ length: 40 }, (_, index) =>
        grant(`p${index}`, { subjects: [{ pattern: `${wide}${index}` }] }),
      ),
      grant('q', { subjects: [{ pattern: wide }] }),
    ],
  ])('%s: the same problems as in the whole', (_what, others, changed) => {
    const fits = compileWhileTaken(others);
    const problems = problemsOf(() => amend(compile(...fits), put(changed)));
    expect(problems).toEqual(problemsOf(() => compile(...fits, changed)));
    expect(problems).toHaveLength(1);
  });

  it('may set a claim to the value that a grant of its own name had otherwise', () => {
    const policy = compile(grant('g', { claims: { set: { tenant: 'a' } } }));
    expect(amend(policy, put(grant('g', { claims: { set: { tenant: 'b' } } })))).toBeDefined();
  });

  /** As many of the documents as a policy may have. */
  function compileWhileTaken(sources: readonly PolicySource[]): readonly PolicySource[] {
    const count = sources.findIndex(
      (_, index) => problemsOf(() => compile(...sources.slice(0, index + 1))).length > 0,
    );
    return count === -1 ? sources : sources.slice(0, count);
  }
});

describe('any changes of grants', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const subject = fc.constantFrom(
    { spiffeId: orders },
    { prefix: 'spiffe://prod.example/team' },
    { pattern: 'spiffe://prod\\.example/o[a-z]+' },
    { trustDomain: 'prod.example' },
    { issuer: 'ci' },
  );
  const source = fc
    .record({
      name,
      subjects: fc.uniqueArray(subject, { minLength: 1, maxLength: 3 }),
      resource: fc.constantFrom('one', 'two', 'three'),
      isDefault: fc.boolean(),
      condition: fc.constantFrom(undefined, undefined, 'claims.ref == "a"'),
      tenant: fc.constantFrom(undefined, 'a', 'b'),
    })
    .map(({ name: called, subjects, resource, isDefault, condition, tenant }) =>
      grant(called, {
        subjects,
        acknowledgeWide: true,
        resource,
        default: isDefault,
        ...(condition === undefined ? {} : { condition }),
        ...(tenant === undefined ? {} : { claims: { set: { tenant } } }),
      }),
    );
  const step = fc.record({
    put: fc.uniqueArray(source, { maxLength: 3, selector: nameOf }),
    removed: fc.uniqueArray(name, { maxLength: 2 }),
  });
  const asking = fc.record({
    id: fc.constantFrom(orders, 'spiffe://prod.example/team/x', 'spiffe://mintmark.example/ci/x'),
    audience: fc.constantFrom(undefined, 'https://one.example', 'https://two.example'),
    scopes: fc.constantFrom(undefined, ['r']),
  });

  it('give what compiling the result gives: the same decisions, grants and problems', () => {
    let amendments = 0;
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 8 }),
        fc.array(asking, { minLength: 1 }),
        (steps, asked) => {
          let policy = compile();
          for (const { put: added, removed } of steps) {
            const gone = removed.filter((one) => !added.some((other) => nameOf(other) === one));
            const edits = { put: added, remove: gone.map((one) => ({ kind: 'Grant' as const, name: one })) };
            const touched = new Set([...added.map(nameOf), ...gone]);
            const others = sourcesFromStored(policy.documents).filter(
              (other) => !isGrant(other) || !touched.has(nameOf(other)),
            );
            const whole = () => compilePolicy([...others, ...added], context, policy.revision + 1);
            const problems = problemsOf(whole);
            const current = policy;
            expect(problemsOf(() => amendPolicy(current, edits, context, 2)).length > 0).toBe(
              problems.length > 0,
            );
            if (problems.length > 0) continue;
            const amended = amendPolicy(policy, edits, context, policy.revision + 1);
            if (amended !== undefined) amendments += 1;
            const compiled = whole();
            for (const { id, ...request } of asked) {
              const who = identity(id, { claims: { ref: 'a' }, issuer: 'ci' });
              expect(outline(decide(who, request, amended ?? compiled, now))).toEqual(
                outline(decide(who, request, compiled, now)),
              );
            }
            for (const resource of compiled.basis.resources) {
              const on = (one: PolicySnapshot) => one.grantsOn(resource, 2).map((found) => found.name);
              expect(on(amended ?? compiled)).toEqual(on(compiled));
            }
            policy = amended ?? compiled;
          }
        },
      ),
      { numRuns: 150 },
    );
    expect(amendments).toBeGreaterThan(200);
  });

  it('hold past the number after which all is indexed anew', () => {
    let policy = compile(grant('kept'));
    for (let index = 0; index < 1_100; index += 1) {
      policy = amend(policy, put(grant(`g${index % 1_050}`, { resource: 'two' }))) ?? expect.fail();
    }
    const found = (resource = 0) =>
      policy.grantsFor(identity(orders), policy.basis.resources[resource] ?? expect.fail());
    expect(found().map((one) => one.name)).toEqual(['kept']);
    expect(found(1)).toHaveLength(1_050);
  });

  function nameOf({ value }: PolicySource): string {
    return (value as { metadata: { name: string } }).metadata.name;
  }
  function isGrant({ value }: PolicySource): boolean {
    return (value as { kind: string }).kind === 'Grant';
  }
  function outline(decision: ReturnType<typeof decide>) {
    return { ...decision, grants: decision.permit ? decision.grants.map((one) => one.name) : [] };
  }
});
