/** Grants under a condition, and grants and issuers that are only observed, as `decide` sees them. */
import { describe, expect, it } from 'vitest';
import { type AskedFor, decide } from '../../../src/core/decide.ts';
import type { IdentityFields } from '../../../src/core/identity.ts';
import { compileText, exampleText, exampleWith, identity } from './example-policy.ts';

const now = Date.parse('2026-06-01T00:00:00Z');
const audience = 'https://inventory.internal.example';
const id = 'spiffe://prod.example/worker';
const grant = (name: string, spec: string) =>
  `---\napiVersion: mintmark/v1\nkind: Grant\nmetadata: { name: ${name} }\nspec: { subjects: [ { spiffeId: ${id} } ], resource: inventory, ${spec} }\n`;
const who = (fields: Partial<IdentityFields> = {}) =>
  identity(id, { expiresAt: now / 1000 + 3600, ...fields });
const decided = (fields: Partial<IdentityFields>, request: AskedFor, ...grants: string[]) =>
  decide(who(fields), request, compileText(exampleText + grants.join('')), now);
const onMain = `condition: 'claims.ref == "refs/heads/main"'`;
const main = { ref: 'refs/heads/main' };

describe('a grant with a condition', () => {
  const write = grant('write', `scopes: [items:write], ${onMain}`);
  const read = grant('read', 'scopes: [items:read]');

  it('gives what it gives where the condition holds', () => {
    const decision = decided({ claims: main }, { audience, scopes: ['items:write'] }, write);
    expect(decision).toMatchObject({ permit: true, scopes: ['items:write'], grants: [{ name: 'write' }] });
  });

  it('gives nothing where it does not, and says why with the claims that the audit keeps', () => {
    const claims = { ref: 'refs/heads/dev', secret: 'canary' };
    const decision = decided({ claims, auditClaims: { ref: claims.ref } }, { audience }, write);
    expect(decision).toMatchObject({ permit: false, reason: 'policy.no_grant' });
    expect(decision.checks.at(-1)).toEqual({
      check: 'grant.condition',
      grant: 'write',
      ok: false,
      expected: 'claims.ref == "refs/heads/main"',
      actual: 'false; ref "refs/heads/dev"',
    });
  });

  it('keeps a claim that the audit may not keep out of the trace', () => {
    const claims = { ref: 'canary' };
    const decision = decided({ claims }, { audience }, write);
    expect(decision.checks.at(-1)).toMatchObject({ check: 'grant.condition', actual: 'false' });
    expect(JSON.stringify(decision.checks)).not.toContain('canary');
  });

  it('gives nothing where the claim is missing, as for an SVID', () => {
    const decision = decided({}, { audience }, write);
    expect(decision).toMatchObject({ permit: false, reason: 'policy.no_grant' });
    expect(decision.checks.at(-1)).toMatchObject({ actual: 'claims.ref is missing' });
  });

  it('leaves the other grants as they are', () => {
    const dev = { claims: { ref: 'dev' } };
    expect(decided(dev, { audience, scopes: ['items:read'] }, write, read)).toMatchObject({
      permit: true,
      grants: [{ name: 'read' }],
    });
    const both = ['items:read', 'items:write'];
    expect(decided(dev, { audience, scopes: both }, write, read)).toMatchObject({
      permit: false,
      reason: 'policy.scope_not_permitted',
    });
    expect(decided({ claims: main }, { audience, scopes: both }, write, read)).toMatchObject({
      permit: true,
    });
  });

  it('is no default target where the condition does not hold', () => {
    const target = grant('target', `default: true, ${onMain}`);
    expect(decided({ claims: main }, {}, target)).toMatchObject({ permit: true });
    const refused = decided({ claims: { ref: 'dev' } }, {}, target);
    expect(refused).toMatchObject({ permit: false, reason: 'policy.no_default_target' });
    expect(refused.checks.at(-1)).toMatchObject({ check: 'grant.condition', grant: 'target', ok: false });
  });

  it('reads the identity and the request, the default target’s audience too', () => {
    const condition = `condition: 'identity.issuer == "acme-ci" && identity.spiffe_id == "${id}" && identity.trust_domain == "prod.example" && request.audience == "${audience}" && !("items:write" in request.scopes)'`;
    const target = grant('target', `default: true, scopes: [items:write, items:read], ${condition}`);
    const fromCi: Partial<IdentityFields> = { credentialKind: 'platform-token', issuer: 'acme-ci' };
    expect(decided(fromCi, {}, target)).toMatchObject({ permit: true });
    expect(decided(fromCi, { scopes: ['items:write'] }, target)).toMatchObject({ permit: false });
    // The issuer of an SVID is no Issuer document, even under its name.
    expect(decided({ issuer: 'acme-ci' }, { audience }, target).checks.at(-1)).toMatchObject({
      actual: 'identity.issuer is missing',
    });
  });

  it('has its claims kept in the audit by issuers that do not say what is', () => {
    const policy = compileText(
      exampleText + grant('a', `condition: 'claims.environment == "x" && claims.email == "y"'`),
    );
    const auditClaimsOf = (name: string) =>
      [...policy.issuers.values()].flat().find((issuer) => issuer.name === name)?.auditClaims;
    expect(auditClaimsOf('prod-cluster')).toContain('environment');
    expect(auditClaimsOf('prod-cluster')).not.toContain('email');
    expect(auditClaimsOf('acme-ci')).toEqual(['repository', 'ref']);
  });
});

describe('an observed grant', () => {
  const observed = grant(
    'trial',
    'mode: observe, scopes: [items:write, items:read], defaultScopes: [items:read]',
  );

  it('gives nothing, and says what it would give', () => {
    const decision = decided({}, { audience, scopes: ['items:write', 'items:delete'] }, observed);
    expect(decision).toMatchObject({ permit: false, reason: 'policy.no_grant' });
    const check = { check: 'grant.observed', grant: 'trial', ok: true, expected: 'mode: enforce' };
    expect(decision.checks.at(-1)).toEqual({ ...check, actual: 'mode: observe; would give items:write' });
    expect(decided({}, { audience }, observed).checks.at(-1)).toEqual({
      ...check,
      actual: 'mode: observe; would give items:read',
    });
    expect(decided({}, { audience, scopes: [] }, observed).checks.at(-1)).toMatchObject({
      actual: 'mode: observe; would give no scopes',
    });
  });

  it('changes nothing of what the others give, not even its lifetime or the default target', () => {
    const read = grant('read', 'scopes: [items:read], default: true');
    const strict = grant(
      'strict',
      'mode: observe, default: true, scopes: [items:read], maxTokenLifetime: 1m, claims: { set: { a: 1 } }',
    );
    const decision = decided({}, { scopes: ['items:read'] }, read, strict);
    expect(decision).toMatchObject({
      permit: true,
      lifetimeSeconds: 600,
      claims: {},
      grants: [{ name: 'read' }],
    });
    expect(decision.checks).toContainEqual(
      expect.objectContaining({ check: 'grant.observed', grant: 'strict' }),
    );
    const alone = decided({}, {}, strict);
    expect(alone).toMatchObject({ permit: false, reason: 'policy.no_default_target' });
    expect(alone.checks.at(-1)).toMatchObject({ check: 'grant.observed', grant: 'strict' });
  });

  it('is recorded as unmet where its condition does not hold', () => {
    const unmet = grant('trial', `mode: observe, ${onMain}`);
    expect(decided({}, { audience }, unmet).checks.at(-1)).toMatchObject({
      check: 'grant.condition',
      ok: false,
    });
  });
});

describe('an observed issuer', () => {
  const policy = compileText(exampleWith('maxTokenAge: 1h', 'maxTokenAge: 1h\n  mode: observe'));
  const fields: Partial<IdentityFields> = { credentialKind: 'platform-token', issuer: 'prod-cluster' };
  const ask = (scopes: string[], given = fields) => decide(who(given), { audience, scopes }, policy, now);

  it('is refused with what would have come out', () => {
    const decision = ask(['items:read']);
    expect(decision).toMatchObject({
      permit: false,
      reason: 'policy.issuer_observed',
      resource: { name: 'inventory' },
    });
    expect(decision.checks.at(-1)).toEqual({
      check: 'issuer.observed',
      ok: false,
      expected: 'mode: enforce',
      actual: 'prod-cluster: mode: observe; would be permitted',
    });
    expect(ask(['items:write'])).toMatchObject({ permit: false, reason: 'policy.issuer_observed' });
    expect(ask(['items:write']).checks.at(-1)).toMatchObject({
      actual: 'prod-cluster: mode: observe; would be refused: policy.scope_not_permitted',
    });
  });

  it('leaves other issuers, and SVIDs, as they are', () => {
    const enforced = decide(who(fields), { audience, scopes: ['items:read'] }, compileText(exampleText), now);
    expect(enforced).toMatchObject({ permit: true });
    expect(ask(['items:read'], { issuer: 'prod-cluster' })).toMatchObject({ reason: 'policy.no_grant' });
  });
});
