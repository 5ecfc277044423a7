/** What `delegation` in a Grant, and the audience of a service that is also a client, may not be. */
import { describe, expect, it } from 'vitest';
import { compileText, exampleText, exampleWith, problemsOf } from './example-policy.ts';
import { type Refusal, testRefusals } from './refusals.ts';

const part = '  maxTokenLifetime: 5m';
const orders = 'Grant/orders';

describe('delegation', () => {
  const refusals: Refusal[] = [
    {
      title: 'delegation for nobody',
      part,
      by: '  delegation: { actFor: [] }',
      document: orders,
      field: 'spec.delegation.actFor',
      message: 'delegation without actFor would be for nobody: name at least one',
    },
    {
      title: 'a subject in two forms',
      part,
      by: '  delegation: { actFor: [ { prefix: spiffe://prod.example/a, issuer: acme-ci } ] }',
      document: orders,
      field: 'spec.delegation.actFor[0]',
      message: 'give exactly one of spiffeId, prefix, pattern, trustDomain and issuer',
    },
    {
      title: 'a trust domain that nobody knows',
      part,
      by: '  delegation: { actFor: [ { prefix: spiffe://prod.exmaple/a } ] }',
      document: orders,
      field: 'spec.delegation.actFor[0].prefix',
      message: 'there is no TrustDomain named "prod.exmaple": did you mean "prod.example"?',
    },
    {
      title: 'an audience that looks like a SPIFFE ID and is none',
      part: 'audience: https://inventory.internal.example',
      by: 'audience: spiffe://prod.example/inventory/',
      document: 'Resource/inventory',
      field: 'spec.audience',
      message: 'looks like a SPIFFE ID and is none, so that no workload could be meant by it',
    },
  ];
  testRefusals(refusals);

  it('for a whole trust domain, or any name in it, must be acknowledged', () => {
    const wide = (acknowledged: boolean, subject: string) => {
      const narrow = exampleWith('    - trustDomain: lab.example\n', '').replace(
        '  acknowledgeWide: true',
        `  acknowledgeWide: ${acknowledged}`,
      );
      return narrow.replace(part, `  delegation: { actFor: [ ${subject} ] }`);
    };
    for (const [subject, field] of [
      ['{ trustDomain: lab.example }', 'trustDomain'],
      ["{ pattern: 'spiffe://lab\\.example/.*' }", 'pattern'],
    ] as const) {
      expect(problemsOf(wide(false, subject))).toMatchObject([
        {
          document: orders,
          field: `spec.delegation.actFor[0].${field}`,
          message: expect.stringContaining('write spec.acknowledgeWide: true if that is meant'),
        },
      ]);
      expect(compileText(wide(true, subject)).documents).toHaveLength(7);
    }
  });

  it('is compiled with the subjects’ own forms, and takes a workload’s ID as a resource’s audience', () => {
    const text = exampleWith(
      part,
      `  delegation:
    impersonate: true
    actFor: [ { spiffeId: spiffe://prod.example/ann }, { issuer: acme-ci }, { prefix: spiffe://mintmark.example/users } ]`,
    ).replace('https://inventory.internal.example', 'spiffe://prod.example/inventory');
    const policy = compileText(text);
    const resource = policy.resourcesByAudience.get('spiffe://prod.example/inventory');
    expect(resource && policy.grantsOn(resource, 1)).toMatchObject([
      {
        delegation: {
          impersonate: true,
          actFor: [
            { spiffeId: 'spiffe://prod.example/ann' },
            { issuer: 'acme-ci' },
            { prefix: 'spiffe://mintmark.example/users' },
          ],
        },
      },
    ]);
    expect(compileText(exampleText).grantsOn(resource ?? expect.unreachable(), 1)).toMatchObject([
      { delegation: undefined },
    ]);
  });

  it('makes nobody an admin for another', () => {
    const admin = `${exampleText}---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: admins }
spec: { subjects: [ { spiffeId: spiffe://prod.example/ann } ], resource: mintmark-admin, scopes: [policy:read] }
`;
    expect(compileText(admin).documents).toHaveLength(8);
    const delegated = admin.replace(
      'scopes: [policy:read] }',
      'scopes: [policy:read], delegation: { actFor: [ { spiffeId: spiffe://prod.example/bob } ] } }',
    );
    expect(problemsOf(delegated)).toMatchObject([
      {
        document: 'Grant/admins',
        field: 'spec.delegation',
        message: 'would let one identity act as an admin for another: leave it out on mintmark-admin',
      },
    ]);
  });
});
