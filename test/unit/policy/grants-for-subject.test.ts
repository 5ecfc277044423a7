/** Which grants a SPIFFE ID is found by. */
import { describe, expect, it } from 'vitest';
import { grantsForSubject } from '../../../src/core/policy/grants-for-subject.ts';
import { compileText, exampleText, identity } from './example-policy.ts';

const grant = (name: string, subject: string) =>
  `---\napiVersion: mintmark/v1\nkind: Grant\nmetadata: { name: ${name} }\nspec: { subjects: [{ ${subject} }], resource: inventory, acknowledgeWide: true }\n`;
const snapshot = compileText(
  [
    exampleText,
    grant('exact', 'spiffeId: spiffe://prod.example/orders/api'),
    grant('prefix', 'prefix: spiffe://prod.example/orders'),
    grant('pattern', 'pattern: "spiffe://prod\\\\.example/[a-z]+/api"'),
    grant('domain', 'trustDomain: prod.example'),
    grant('ours', 'trustDomain: mintmark.example'),
    grant('cluster', 'issuer: prod-cluster'),
    grant('ci', 'issuer: acme-ci'),
  ].join(''),
);
const namesFor = (spiffeId: string) =>
  grantsForSubject(snapshot, identity(spiffeId).spiffeId)
    .map(({ name }) => name)
    .sort();

describe('grantsForSubject', () => {
  it.each([
    ['spiffe://prod.example/orders/api', ['domain', 'exact', 'pattern', 'prefix']],
    ['spiffe://prod.example/orders', ['domain', 'orders', 'prefix']],
    ['spiffe://prod.example/ordersx', ['domain']],
    ['spiffe://prod.example/team-a/x', ['domain', 'orders']],
    ['spiffe://lab.example/x', ['orders']],
    ['spiffe://mintmark.example/prod-cluster/ns/payments/sa/api', ['cluster', 'orders', 'ours']],
    ['spiffe://mintmark.example/prod-cluster/ns/payments', ['ours']],
    ['spiffe://mintmark.example/ci/65', ['ci', 'ours']],
    // An issuer gives IDs in our own trust domain alone, whatever their path.
    ['spiffe://prod.example/ci/65', ['domain']],
    ['spiffe://other.example/prod-cluster/ns/payments/sa/api', []],
  ])('of %s', (spiffeId, expected) => {
    expect(namesFor(spiffeId)).toEqual(expected);
  });

  it('agrees with the decision on every subject but an issuer', () => {
    const inventory = snapshot.resourcesByAudience.get('https://inventory.internal.example');
    if (inventory === undefined) throw new Error('no resource');
    for (const spiffeId of ['orders/api', 'orders', 'ordersx', 'team-a', 'team-ab', 'x/api', 'x/y/api']) {
      const svid = identity(`spiffe://prod.example/${spiffeId}`);
      expect(namesFor(svid.spiffeId)).toEqual(snapshot.grantsFor(svid, inventory).map(({ name }) => name));
    }
  });
});
