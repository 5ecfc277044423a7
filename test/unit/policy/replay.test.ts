import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../../src/core/audit.ts';
import { replayAttempt, replayAttempts } from '../../../src/core/replay.ts';
import { compileText, exampleText, exampleWith } from './example-policy.ts';

const now = Date.parse('2026-06-01T00:00:00Z');
const audience = 'https://inventory.internal.example';
const identity = 'spiffe://prod.example/orders';
const attempt = (fields: Partial<AuditEvent> = {}): AuditEvent => ({
  requestId: 'r1',
  at: now - 1000,
  outcome: 'permitted',
  action: 'token.exchange',
  remoteAddress: '192.0.2.1',
  credentialKind: 'jwt-svid',
  trustDomain: 'prod.example',
  identity,
  claims: {},
  audience,
  checks: [],
  ...fields,
});
const inForce = compileText(exampleText);
const without = compileText(exampleWith('spiffe://prod.example/orders', 'spiffe://prod.example/other'));
const ofGrant = (addition: string) =>
  compileText(exampleWith('  maxTokenLifetime: 5m', `  maxTokenLifetime: 5m\n  ${addition}`));

describe('replaying an attempt', () => {
  it('finds what would newly be refused, and why', () => {
    expect(replayAttempt(attempt(), inForce, without, now)).toEqual({
      change: 'newly-refused',
      requestId: 'r1',
      identity,
      audience,
      before: 'permitted',
      after: 'policy.no_grant',
    });
  });

  it('finds what would newly be permitted', () => {
    const refused = attempt({ outcome: 'refused' });
    expect(replayAttempt(refused, without, inForce, now)).toMatchObject({
      change: 'newly-permitted',
      before: 'policy.no_grant',
      after: 'permitted',
    });
  });

  it('keeps the scopes that were asked for', () => {
    const writes = attempt({ requestedScopes: ['items:write'] });
    const planned = compileText(
      exampleWith('  scopes: [items:read]\n', '  scopes: [items:read, items:write]\n'),
    );
    expect(replayAttempt(writes, inForce, planned, now)).toMatchObject({
      before: 'policy.scope_not_permitted',
      after: 'permitted',
    });
    expect(replayAttempt(attempt(), inForce, planned, now)).toEqual({ change: 'none' });
  });

  it.each([
    ['a condition', 'condition: claims.ref == "main"'],
    ['a claim that is copied', 'claims: { copy: { ref: ref } }'],
  ])('says unknown where %s needs a claim that was not kept', (_what, addition) => {
    const planned = ofGrant(addition);
    expect(replayAttempt(attempt(), inForce, planned, now)).toEqual({ change: 'unknown' });
    const kept = attempt({ claims: { ref: 'main' } });
    expect(replayAttempt(kept, inForce, planned, now)).toEqual({ change: 'none' });
  });

  it('judges a condition by a claim that was kept', () => {
    const kept = attempt({ claims: { ref: 'other' } });
    const planned = ofGrant('condition: claims.ref == "main"');
    expect(replayAttempt(kept, inForce, planned, now)).toMatchObject({ after: 'policy.no_grant' });
  });

  it('says unknown of a condition on a nested claim, which the audit keeps by its path', () => {
    const kept = attempt({ claims: { 'a.b': 'x' } });
    const planned = ofGrant('condition: claims.a.b == "x"');
    expect(replayAttempt(kept, inForce, planned, now)).toEqual({ change: 'unknown' });
  });

  it.each([
    ['claims that the caller asked for', { requestedClaims: ['team'] }],
    ['an audience that was cut', { audience: `${'a'.repeat(512)}…` }],
    ['a kind of credential that is not known', { credentialKind: 'other' }],
  ])('says unknown of %s', (_what, fields) => {
    expect(replayAttempt(attempt(fields), inForce, without, now)).toEqual({ change: 'unknown' });
  });

  it('says unknown where the issuer’s own rules change, since nothing is verified again', () => {
    const event = attempt({ credentialKind: 'platform-token', issuer: 'prod-cluster' });
    const stricter = compileText(exampleWith('[payments, orders]', '[payments]'));
    expect(replayAttempt(event, inForce, stricter, now)).toEqual({ change: 'unknown' });
    const observed = compileText(exampleWith('  maxTokenAge: 1h', '  maxTokenAge: 1h\n  mode: observe'));
    expect(replayAttempt(event, inForce, observed, now)).toMatchObject({ after: 'policy.issuer_observed' });
  });

  it('leaves out what reached no decision', () => {
    const { identity: _, ...stranger } = attempt();
    const { checks: __, ...undecided } = attempt();
    const admin = attempt({ action: 'admin.policy.read' });
    for (const event of [stranger, undecided, admin]) {
      expect(replayAttempt(event, inForce, without, now)).toBeUndefined();
    }
  });

  it('reports no change for a policy that is the same', () => {
    const events = fc.record({
      identity: fc.constantFrom(identity, 'spiffe://prod.example/team-a/x', 'spiffe://lab.example/y'),
      audience: fc.constantFrom(audience, 'https://other.example'),
      requestedScopes: fc.subarray(['items:read', 'items:write']),
      claims: fc.dictionary(fc.constantFrom('ref', 'a.b'), fc.string()),
      at: fc.integer({ min: 0, max: now }),
    });
    const policies = fc.constantFrom(
      exampleText,
      exampleWith('items:read]\n  max', 'items:read]\n  condition: claims.ref == "x"\n  max'),
    );
    fc.assert(
      fc.property(events, policies, (fields, text) => {
        const replayed = replayAttempt(attempt(fields), compileText(text), compileText(text), now);
        expect(['none', 'unknown']).toContain(replayed?.change);
      }),
      { numRuns: 60 },
    );
  });
});

describe('replaying many', () => {
  it('tells equal changes once, lists at most 50, and counts the unknown', () => {
    const twice = [attempt({ requestId: 'newest' }), attempt()];
    const cut = attempt({ requestedClaims: ['team'] });
    const none = attempt({ identity: 'spiffe://prod.example/team-a/x' });
    expect(replayAttempts([...twice, cut, none], inForce, without, now)).toMatchObject({
      lookedAt: 4,
      newlyPermitted: [],
      newlyRefused: [{ requestId: 'newest', count: 2 }],
      newlyPermittedTotal: 0,
      newlyRefusedTotal: 2,
      unknown: 1,
    });
    const many = Array.from({ length: 60 }, (_, n) =>
      attempt({ identity: `spiffe://prod.example/team-a/${n}` }),
    );
    const closed = compileText(exampleWith('spiffe://prod.example/team-a', 'spiffe://prod.example/team-b'));
    const summary = replayAttempts(many, inForce, closed, now);
    expect(summary.newlyRefused).toHaveLength(50);
    expect(summary.newlyRefusedTotal).toBe(60);
  });
});
