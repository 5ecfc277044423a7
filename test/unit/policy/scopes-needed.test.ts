/** Which scopes a change needs, by what it changes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json } from '../../../src/core/json.ts';
import type { Kind, ManagedBy, StoredDocument } from '../../../src/core/policy/document.ts';
import { scopesNeeded } from '../../../src/core/policy/scopes-needed.ts';

const document = (kind: Kind, name: string, spec: Json, managedBy: ManagedBy = 'rest'): StoredDocument => ({
  kind,
  name,
  managedBy,
  body: { apiVersion: 'mintmark/v1', kind, metadata: { name }, spec },
});
const issuer = document('Issuer', 'cluster', { platform: 'oidc', issuer: 'https://a.test' });
const domain = document('TrustDomain', 'prod.test', { bundle: { static: { keys: [] } } });
const admins = document('Grant', 'admins', { resource: 'mintmark-admin', subjects: [] });
const readers = document('Grant', 'readers', { resource: 'inventory', subjects: [] });
const inventory = document('Resource', 'inventory', { audience: 'https://inventory.test' });
const others = [issuer, domain, admins, readers, inventory];

const write = ['policy:write'];
const admin = ['policy:write', 'policy:admin'];
const withSpec = (of: StoredDocument, spec: Json) => document(of.kind, of.name, spec, of.managedBy);

describe('the scopes that a change needs', () => {
  it.each([
    ['an Issuer', issuer],
    ['a TrustDomain', domain],
    ['a grant of the admin API', admins],
  ])('include policy:admin where it adds, removes or alters %s', (_name, touched) => {
    const rest = others.filter((each) => each !== touched);
    expect(scopesNeeded(rest, others)).toEqual(admin);
    expect(scopesNeeded(others, rest)).toEqual(admin);
    const altered = withSpec(touched, { resource: 'mintmark-admin', colour: 'red' });
    expect(scopesNeeded(others, [...rest, altered])).toEqual(admin);
    expect(scopesNeeded(others, [...rest, { ...touched, managedBy: 'file' }])).toEqual(admin);
    expect(scopesNeeded([], [touched])).toEqual(admin);
  });

  it.each([
    ['another grant', readers],
    ['a Resource', inventory],
  ])('are policy:write alone where it adds, removes or alters %s', (_name, touched) => {
    const rest = others.filter((each) => each !== touched);
    expect(scopesNeeded(rest, others)).toEqual(write);
    expect(scopesNeeded(others, rest)).toEqual(write);
    expect(scopesNeeded(others, [...rest, withSpec(touched, { resource: 'orders' })])).toEqual(write);
  });

  it('include policy:admin where a grant comes to be, or ceases to be, of the admin API', () => {
    const [plain, raised] = [readers, withSpec(readers, { resource: 'mintmark-admin' })];
    expect(scopesNeeded([plain], [raised])).toEqual(admin);
    expect(scopesNeeded([raised], [plain])).toEqual(admin);
  });

  it('are policy:write alone where nothing but order changes', () => {
    const turned = others.map((each) => ({
      ...each,
      body: Object.fromEntries(Object.entries(each.body as object).reverse()) as Json,
    }));
    expect(scopesNeeded(others, turned.toReversed())).toEqual(write);
    expect(scopesNeeded([], [])).toEqual(write);
  });

  it('never depend on what else changes', () => {
    const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'));
    const plain = names.map((all) => all.map((name) => document('Resource', name, { audience: name })));
    fc.assert(
      fc.property(plain, plain, fc.boolean(), (before, after, isTouched) => {
        const needed = scopesNeeded([...before, issuer], isTouched ? after : [issuer, ...after]);
        expect(needed).toEqual(isTouched ? admin : write);
      }),
    );
  });
});
