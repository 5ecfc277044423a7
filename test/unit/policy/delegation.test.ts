/** Decisions for a client that acts for somebody: which grants count, whose claims, who acts, and what no chain can widen. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AskedFor, type Decision, decide } from '../../../src/core/decide.ts';
import { type Act, actorsOf, type Delegation, maxActors } from '../../../src/core/delegation.ts';
import type { IdentityFields } from '../../../src/core/identity.ts';
import { compileText, exampleText, identity } from './example-policy.ts';

const now = Date.parse('2026-06-01T00:00:00Z');
const nowSeconds = now / 1000;
const one = 'https://one.example';

const document = (kind: string, name: string, spec: string) =>
  `---\napiVersion: mintmark/v1\nkind: ${kind}\nmetadata: { name: ${name} }\nspec: ${spec}\n`;
const actFor = 'actFor: [ { prefix: spiffe://prod.example/users }, { issuer: acme-ci } ]';
const on = (client: string, more: string, resource = 'one') =>
  `{ subjects: [ { spiffeId: spiffe://prod.example/${client} } ], resource: ${resource}, ${more} }`;
const policyText = [
  exampleText,
  document('Resource', 'one', `{ audience: ${one}, scopes: [r, w], tokenLifetime: 20m }`),
  document(
    'Grant',
    'a-reads',
    on(
      'a',
      `scopes: [r], defaultScopes: [r], default: true, delegation: { ${actFor} }, claims: { copy: { team: team } }`,
    ),
  ),
  document(
    'Grant',
    'a-writes',
    on('a', `scopes: [w], maxTokenLifetime: 2m, delegation: { ${actFor}, impersonate: true }`),
  ),
  document('Grant', 'b-alone', on('b', 'scopes: [r]')),
  document(
    'Grant',
    'c-if',
    on('c', `scopes: [r], condition: 'claims.team == "core"', delegation: { ${actFor} }`),
  ),
].join('');
const policy = compileText(policyText);

const workload = (path: string, fields: Partial<IdentityFields> = {}) =>
  identity(`spiffe://prod.example/${path}`, { expiresAt: nowSeconds + 3600, ...fields });
const a = workload('a');
const ann = workload('users/ann');
const asks = (
  delegation: Delegation,
  { client = a, ...request }: AskedFor & { client?: IdentityFields } = {},
): Decision => decide(client, { audience: one, delegation, ...request }, policy, now);

describe('the grants of the client', () => {
  it('decide, where they name the subject', () => {
    expect(asks({ subject: ann })).toMatchObject({
      permit: true,
      subject: ann.spiffeId,
      act: { sub: a.spiffeId },
      scopes: ['r'],
    });
    const byIssuer = identity('spiffe://mintmark.example/ci/1', {
      credentialKind: 'platform-token',
      issuer: 'acme-ci',
      expiresAt: nowSeconds + 60,
    });
    expect(asks({ subject: byIssuer })).toMatchObject({ permit: true, lifetimeSeconds: 60 });
    // A token of ours does not say which Issuer document vouched once.
    const onceByIssuer = { ...byIssuer, credentialKind: 'own-token' as const };
    expect(asks({ subject: onceByIssuer, inherited: { scopes: ['r'] } })).toMatchObject({
      reason: 'policy.delegation_not_permitted',
    });
  });

  it.each([
    ['another subject', a, workload('x'), 'policy.delegation_not_permitted'],
    ['a sibling of the prefix', a, workload('users-x/ann'), 'policy.delegation_not_permitted'],
    ['a grant without delegation', workload('b'), ann, 'policy.delegation_not_permitted'],
    ['the client’s own subject to act for it', workload('users/ann'), a, 'policy.no_grant'],
    ['no grant at all', workload('d'), ann, 'policy.no_grant'],
  ])('refuse %s, and say why', (_name, client, subject, reason) => {
    const decision = asks({ subject }, { client });
    expect(decision).toMatchObject({ permit: false, reason });
    if (reason === 'policy.no_grant') return;
    expect(decision.checks.filter(({ ok }) => !ok).map(({ check }) => check)).toContain('grant.delegation');
  });

  it('say whom a grant acts for in the trace', () => {
    expect(asks({ subject: workload('x') }).checks).toContainEqual({
      check: 'grant.delegation',
      grant: 'a-reads',
      ok: false,
      expected: 'to act for prefix spiffe://prod.example/users or issuer acme-ci',
      actual: 'spiffe://prod.example/x',
    });
  });

  it('name the default target for the subject too', () => {
    expect(decide(a, { delegation: { subject: ann } }, policy, now)).toMatchObject({ permit: true });
    expect(decide(a, { delegation: { subject: workload('x') } }, policy, now)).toMatchObject({
      reason: 'policy.no_default_target',
    });
  });

  it('meet the client’s claims in their conditions, and copy the subject’s', () => {
    const core = { claims: { team: 'core' } };
    const client = workload('c', core);
    expect(asks({ subject: ann }, { client, scopes: ['r'] })).toMatchObject({ permit: true });
    const bare = workload('c');
    expect(asks({ subject: workload('users/ann', core) }, { client: bare, scopes: ['r'] })).toMatchObject({
      reason: 'policy.no_grant',
    });
    const named = { ...ann, claims: { team: 'sales' } };
    expect(asks({ subject: named }, { client: { ...a, ...core } })).toMatchObject({
      claims: { team: 'sales' },
    });
    expect(asks({ subject: ann }, { client: { ...a, ...core } })).toMatchObject({ claims: {} });
    expect(decide({ ...a, ...core }, { audience: one }, policy, now)).toMatchObject({
      claims: { team: 'core' },
    });
  });

  it('give nothing where subject or actor is of an Issuer that is only observed', () => {
    const observed = compileText(
      policyText.replace('platform: github-actions', 'platform: github-actions\n  mode: observe'),
    );
    const ci = identity('spiffe://mintmark.example/ci/1', {
      credentialKind: 'platform-token',
      issuer: 'acme-ci',
      expiresAt: nowSeconds + 60,
    });
    for (const delegation of [{ subject: ci }, { subject: ann, actor: ci }]) {
      const request = { audience: one, delegation };
      expect(decide(a, request, policy, now)).toMatchObject({ permit: true });
      expect(decide(a, request, observed, now)).toMatchObject({ reason: 'policy.issuer_observed' });
    }
  });
});

describe('who acts', () => {
  const b = workload('b');
  const c = workload('c');
  const past: Act = { sub: b.spiffeId, act: { sub: c.spiffeId } };
  const own = (more: object = {}): Delegation => ({
    subject: ann,
    inherited: { scopes: ['r', 'w'], ...more },
  });

  it.each<[string, Delegation, readonly string[], Act | undefined]>([
    ['the client', { subject: ann }, ['r'], { sub: a.spiffeId }],
    ['the actor', { subject: ann, actor: b }, ['r'], { sub: b.spiffeId }],
    ['nobody, where all grants impersonate', { subject: ann }, ['w'], undefined],
    ['the client, where one grant does not', { subject: ann }, ['r', 'w'], { sub: a.spiffeId }],
    ['the actor, impersonation or not', { subject: ann, actor: b }, ['w'], { sub: b.spiffeId }],
    ['the client before the others', own({ act: past }), ['r'], { sub: a.spiffeId, act: past }],
    ['a chain, impersonation or not', own({ act: past }), ['w'], { sub: a.spiffeId, act: past }],
    ['nobody for oneself', { subject: a, inherited: { scopes: ['r'] } }, ['r'], undefined],
    [
      'oneself after others',
      { subject: a, inherited: { scopes: ['r'], act: past } },
      ['r'],
      { sub: a.spiffeId, act: past },
    ],
  ])('is %s', (_name, delegation, scopes, act) => {
    const decision = asks(delegation, { scopes });
    expect(decision).toMatchObject({ permit: true, subject: delegation.subject.spiffeId });
    expect(decision.permit && decision.act).toEqual(act);
  });

  it.each<[unknown, IdentityFields, boolean]>([
    [{ sub: a.spiffeId }, a, true],
    [{ sub: b.spiffeId }, a, false],
    [
      { sub: 'svc-a', iss: 'https://idp.example' },
      { ...a, claims: { iss: 'https://idp.example', sub: 'svc-a' } },
      true,
    ],
    [{ sub: 'svc-a' }, { ...a, claims: { iss: 'https://users.example', sub: 'svc-a' } }, true],
    [{ sub: 'svc-a' }, { ...a, claims: { iss: 'https://idp.example', sub: 'svc-a' } }, false],
    [{ sub: a.spiffeId, iss: 'https://idp.example' }, a, false],
    [{ sub: a.spiffeId, email: 'a@example' }, a, false],
    [{ iss: 'https://users.example' }, a, false],
    [a.spiffeId, a, false],
    [null, a, false],
  ])('is held to may_act %j', (mayAct, client, isPermitted) => {
    const claims = JSON.parse(JSON.stringify({ iss: 'https://users.example', may_act: mayAct }));
    for (const scopes of [['r'], ['w']]) {
      const decision = asks({ subject: { ...ann, claims } }, { client, scopes });
      expect(decision.permit).toBe(isPermitted);
      if (!decision.permit) expect(decision.reason).toBe('policy.actor_not_permitted');
    }
    const inherited = { scopes: ['r'], mayAct: JSON.parse(JSON.stringify(mayAct)) };
    if (!isPermitted) {
      expect(asks({ subject: ann, inherited }, { client })).toMatchObject({
        reason: 'policy.actor_not_permitted',
      });
    }
  });

  it('is never the subject, and no chain is longer or larger than it may be', () => {
    expect(asks({ subject: ann, actor: ann })).toMatchObject({ reason: 'request.actor_is_subject' });
    const chain = (length: number, id = b.spiffeId): Act =>
      length === 1 ? { sub: id } : { sub: id, act: chain(length - 1, id) };
    expect(asks(own({ act: chain(maxActors - 1) }))).toMatchObject({ permit: true });
    expect(asks(own({ act: chain(maxActors) }))).toMatchObject({ reason: 'policy.actor_chain_too_long' });
    const long = workload('x'.repeat(2000)).spiffeId;
    expect(asks(own({ act: chain(1, long) }))).toMatchObject({ permit: true });
    expect(asks(own({ act: chain(3, long) }))).toMatchObject({ reason: 'policy.actor_chain_too_long' });
  });
});

describe('what a chain can never do', () => {
  const ends = fc.integer({ min: -5, max: 3000 }).map((seconds) => nowSeconds + seconds);
  const hop = fc.record({
    client: fc.constantFrom('a', 'b', 'c', 'users/ann'),
    clientEnds: ends,
    actor: fc.option(fc.record({ path: fc.constantFrom('b', 'z', 'users/ann'), actorEnds: ends }), {
      nil: undefined,
    }),
    scopes: fc.option(fc.subarray(['r', 'w']), { nil: undefined }),
  });

  it('is to widen a scope, live longer, change its subject, lose an actor, or grow without end', () => {
    let longest = 0;
    let permitted = 0;
    fc.assert(
      fc.property(fc.array(hop, { minLength: 1, maxLength: 7 }), ends, (hops, subjectEnds) => {
        let delegation: Delegation = { subject: { ...ann, expiresAt: subjectEnds } };
        let before: Extract<Decision, { permit: true }> | undefined;
        let length = 0;
        for (const { client, clientEnds, actor, scopes } of hops) {
          const asker = workload(client, { expiresAt: clientEnds, claims: { team: 'core' } });
          const acting = actor && workload(actor.path, { expiresAt: actor.actorEnds });
          const decision = asks(
            { ...delegation, ...(acting && { actor: acting }) },
            { client: asker, scopes },
          );
          if (!decision.permit) continue; // whoever is refused goes on with what it has
          permitted++;
          length++;
          longest = Math.max(longest, length);
          const end = nowSeconds + decision.lifetimeSeconds;
          expect(end).toBeLessThanOrEqual(
            Math.min(delegation.subject.expiresAt, clientEnds, actor?.actorEnds ?? Infinity),
          );
          expect(decision.subject).toBe(ann.spiffeId);
          if (before) expect(new Set(decision.scopes).isSubsetOf(new Set(before.scopes))).toBe(true);
          const actors = actorsOf(decision.act);
          expect(actors.length).toBeLessThanOrEqual(maxActors);
          if (before?.act) expect(actors.slice(1)).toEqual(actorsOf(before.act));
          before = decision;
          delegation = {
            subject: { ...ann, credentialKind: 'own-token', claims: {}, expiresAt: end },
            inherited: { scopes: decision.scopes, ...(decision.act && { act: decision.act }) },
          };
        }
      }),
      { numRuns: 1500, seed: 20261124 },
    );
    expect(permitted).toBeGreaterThan(500);
    expect(longest).toBeGreaterThan(2);
  });
});
