import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decide } from '../../../src/core/decide.ts';
import { isAdminLeft } from '../../../src/core/policy/admin-grants.ts';
import { adminScopes } from '../../../src/core/policy/admin-resource.ts';
import { compilePolicy } from '../../../src/core/policy/compile.ts';
import { describeProblem, PolicyRefused } from '../../../src/core/policy/refused.ts';
import { type PolicySource, sourcesFromStored, storedFromSources } from '../../../src/core/policy/source.ts';
import { oidc } from '../../../src/credentials/platforms/oidc/index.ts';
import { compileText, context, exampleText, exampleWith, identity, problemsOf } from './example-policy.ts';

const source = (value: unknown): PolicySource => ({ value, managedBy: 'rest', locate: () => ({}) });

describe('compilePolicy', () => {
  const policy = compileText(exampleText);
  const issuer = (name: string) => [...policy.issuers.values()].flat().find((entry) => entry.name === name);

  it('fills in what documents leave out', () => {
    expect(issuer('edge')).toMatchObject({
      audiences: ['https://sts.example'],
      require: [],
      once: false,
      maxTokenAgeSeconds: undefined,
      subject: { source: '/edge/{sub}' },
      auditClaims: ['sub'],
    });
    expect(policy.trustDomains.get('lab.example')).toMatchObject({
      audiences: ['https://sts.example', 'https://sts.example/oauth/token'],
      serveStaleSeconds: 3600,
      maxSvidLifetimeSeconds: 86_400,
    });
    expect(policy.trustDomains.get('prod.example')?.serveStaleSeconds).toBe(7200);
  });

  it('keeps what documents say', () => {
    expect(issuer('prod-cluster')).toMatchObject({
      issuerUrl: 'https://oidc.cluster.example',
      audiences: ['https://sts.example'],
      require: [{ path: 'kubernetes.io.namespace', values: ['payments', 'orders'] }],
      maxTokenAgeSeconds: 3600,
      subject: {
        source: '/prod-cluster/ns/{kubernetes.io.namespace}/sa/{kubernetes.io.serviceaccount.name}',
      },
      auditClaims: ['kubernetes.io.namespace', 'kubernetes.io.serviceaccount.name'],
    });
    expect(policy.resourcesByAudience.get('https://inventory.internal.example')).toEqual({
      name: 'inventory',
      audience: 'https://inventory.internal.example',
      extraAudiences: [],
      scopes: new Set(['items:read', 'items:write']),
      tokenLifetimeSeconds: 600,
      signingAlgorithm: 'ES256',
      introspectors: [],
      tokenFormats: new Set(['access_token']),
      proof: 'none',
    });
  });

  it('keeps how much must be left of a token to reuse it, and never reuses an admin’s', () => {
    const reuse = 'tokenLifetime: 10m\n  reuse: { minRemaining: 599s }';
    const { resourcesByAudience } = compileText(exampleWith('tokenLifetime: 10m', reuse));
    const least = [...resourcesByAudience].map(([audience, { reuseMinRemainingSeconds }]) => [
      audience,
      reuseMinRemainingSeconds,
    ]);
    expect(least).toEqual([
      ['https://inventory.internal.example', 599],
      ['https://sts.example/admin/v1', undefined],
      ['https://sts.example', undefined],
    ]);
  });

  it('keeps e-mail addresses out of the audit where they are only required', () => {
    const text = exampleWith(
      'require: { repository_owner_id: "65" }',
      'require: { repository_owner_id: "65", email: a@b }',
    ).replace('  auditClaims: [repository, ref]\n', '');
    const [acme] = compileText(text).issuers.get('https://token.actions.githubusercontent.com') ?? [];
    expect(acme?.require.map(({ path }) => path)).toContain('email');
    expect(acme?.auditClaims).toEqual(['repository_id', 'repository_owner_id']);
  });

  it('asks for a subject where the platform’s default does not fit', () => {
    const platform = { ...oidc, name: 'narrow', defaultSubject: '/{sub}' };
    const spec = { platform: 'narrow', issuer: 'https://narrow.example' };
    const narrow = { apiVersion: 'mintmark/v1', kind: 'Issuer', metadata: { name: 'n' } };
    const compile = (subject: object) =>
      compilePolicy(
        [source({ ...narrow, spec: { ...spec, ...subject } })],
        { ...context, platforms: [platform] },
        1,
      );
    expect(compile({ subject: '/n/{sub}' }).documents).toHaveLength(1);
    expect(() => compile({})).toThrow(
      'Issuer/n spec.subject: write a subject: the default of narrow fails, the first',
    );
  });

  it('keeps the issuer’s exact string, a trailing slash included', () => {
    const text = exampleWith('issuer: https://oidc.cluster.example', 'issuer: https://OIDC.cluster.example/');
    expect([...compileText(text).issuers.keys()]).toContain('https://OIDC.cluster.example/');
  });

  it.each(['http://127.0.0.1:8080', 'http://localhost:1', 'http://[::1]:8080/x'])(
    'accepts http on loopback: %s',
    (url) => {
      const text = exampleWith('issuer: https://oidc.cluster.example', `issuer: "${url}"`);
      expect([...compileText(text).issuers.keys()]).toContain(url);
    },
  );

  it('compiles an empty policy, in which only Mintmark’s own resources stand', () => {
    const empty = compilePolicy([], context, 0);
    expect(empty.documents).toEqual([]);
    expect([...empty.resourcesByAudience.values()]).toEqual([
      {
        name: 'mintmark-admin',
        audience: 'https://sts.example/admin/v1',
        extraAudiences: [],
        scopes: new Set(adminScopes),
        tokenLifetimeSeconds: 600,
        signingAlgorithm: 'ES256',
        introspectors: [],
        tokenFormats: new Set(['access_token']),
        proof: 'none',
      },
      {
        name: 'mintmark',
        audience: 'https://sts.example',
        extraAudiences: [],
        scopes: new Set(['tokens:introspect']),
        tokenLifetimeSeconds: 600,
        signingAlgorithm: 'ES256',
        introspectors: [],
        tokenFormats: new Set(['access_token']),
        proof: 'none',
      },
    ]);
  });

  it('accepts grants for our own trust domain’s IDs', () => {
    const text = exampleWith(
      'spiffe://prod.example/orders',
      'spiffe://mintmark.example/prod-cluster/ns/orders',
    );
    expect(compileText(text).documents).toHaveLength(7);
  });

  it('compiles what it has stored to the same policy', () => {
    const again = compilePolicy(sourcesFromStored(policy.documents), context, 1);
    expect(again.documents).toEqual(policy.documents);
    expect(storedFromSources(sourcesFromStored(policy.documents))).toEqual(policy.documents);
    expect(policy.documents.every(({ managedBy }) => managedBy === 'file')).toBe(true);
  });

  it.each([{ value: null }, { value: 1 }, { value: 'text' }, { value: [] }, { value: [{}] }, { value: {} }])(
    'refuses %j, which is no document',
    ({ value }) => {
      expect(() => compilePolicy([source(value)], context, 1)).toThrow(PolicyRefused);
      expect(() => storedFromSources([source(value)])).toThrow(TypeError);
    },
  );

  it('refuses a value that holds itself', () => {
    const value: Record<string, unknown> = { apiVersion: 'mintmark/v1', kind: 'Grant' };
    value.spec = value;
    expect(() => compilePolicy([source(value)], context, 1)).toThrow(PolicyRefused);
  });

  it('refuses a PolicyTest, which is run and never stored', () => {
    const value = { apiVersion: 'mintmark/v1', kind: 'PolicyTest', metadata: { name: 'a' }, spec: [] };
    expect(() => compilePolicy([source(value)], context, 1)).toThrow(
      'policy refused: PolicyTest/a kind: a PolicyTest is run, never stored: keep it out of the policy itself',
    );
  });

  it('describes a problem on one line', () => {
    const [problem] = problemsOf(exampleWith('platform: oidc', 'platform: odic'));
    expect(problem && describeProblem(problem)).toBe(
      'policy.yaml:26: Issuer/edge spec.platform: unknown platform "odic": did you mean "oidc"?',
    );
  });

  it('compiles 100,000 grants in a few seconds at most', () => {
    const resource = { audience: 'https://a.example', scopes: ['a'] };
    const sources = [
      source({ apiVersion: 'mintmark/v1', kind: 'Resource', metadata: { name: 'a' }, spec: resource }),
    ];
    for (let index = 0; index < 100_000; index += 1) {
      const spec = {
        subjects: [{ spiffeId: `spiffe://mintmark.example/w/${index}` }],
        resource: 'a',
        scopes: ['a'],
      };
      sources.push(
        source({ apiVersion: 'mintmark/v1', kind: 'Grant', metadata: { name: `g${index}` }, spec }),
      );
    }
    const start = performance.now();
    expect(compilePolicy(sources, context, 1).documents).toHaveLength(100_001);
    expect(performance.now() - start).toBeLessThan(8000); // about 0.5 s when the machine is idle
  });
});

describe('docs/policy.md', () => {
  it('shows a policy that does what it says', () => {
    const guide = readFileSync(new URL('../../../docs/policy.md', import.meta.url), 'utf8');
    const example = /```yaml\n([\s\S]*?)```/.exec(guide)?.[1] ?? '';
    const policy = compileText(example);
    expect(policy.documents).toHaveLength(3);
    const who = identity('spiffe://mintmark.example/prod-cluster/ns/orders/sa/api');
    const audience = 'https://inventory.internal.example';
    expect(decide(who, { audience }, policy, 0)).toMatchObject({ permit: true, scopes: ['items:read'] });
    const both = { audience, scopes: ['items:read', 'items:write'] };
    expect(decide(who, both, policy, 0)).toMatchObject({
      permit: false,
      reason: 'policy.scope_not_permitted',
    });
  });
});

describe('docs/admins.md', () => {
  it('shows policies that make admins', () => {
    const guide = readFileSync(new URL('../../../docs/admins.md', import.meta.url), 'utf8');
    const examples = [...guide.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, example = '']) =>
      compileText(example),
    );
    const whoOf = [
      'spiffe://mintmark.example/policy-repo/owner/65/repo/74',
      'spiffe://mintmark.example/company/ann',
    ];
    expect(examples).toHaveLength(whoOf.length);
    const audience = 'https://sts.example/admin/v1';
    for (const [index, policy] of examples.entries()) {
      const decision = decide(identity(whoOf[index] ?? ''), { audience }, policy, 0);
      const scopes = ['policy:read', 'policy:write', 'policy:admin'];
      expect(decision).toMatchObject({ permit: true, scopes, lifetimeSeconds: 600 });
      expect(isAdminLeft(policy, context.trustDomain)).toBe(true);
    }
  });
});
