/** PolicyTest cases in which the caller acts for somebody. */
import { expect, it } from 'vitest';
import { readPolicyTests } from '../../../src/adapters/policy-source/read-text.ts';
import { checkPolicyTests } from '../../../src/core/policy/policy-test.ts';
import { collectProblems } from '../../../src/core/policy/problems.ts';
import { PolicyRefused } from '../../../src/core/policy/refused.ts';
import { runPolicyTests } from '../../../src/core/run-policy-tests.ts';
import { createSuppose } from '../../../src/credentials/suppose.ts';
import { compileText, context, exampleText } from '../policy/example-policy.ts';

const policy = compileText(
  `${exampleText}  delegation: { actFor: [ { prefix: spiffe://prod.example/users } ] }\n`,
);
const now = Date.parse('2026-06-01T00:00:00Z');

/** The differences and problems of one case. */
function outcomeOf(given: string, expected: string, request = 'scope: items:read') {
  const text = `apiVersion: mintmark/v1
kind: PolicyTest
metadata: { name: delegation }
spec:
  - given: { spiffeId: spiffe://prod.example/orders, ${given} }
    request: { audience: https://inventory.internal.example, ${request} }
    expect: { ${expected} }
`;
  const problems = collectProblems();
  const tests = checkPolicyTests(readPolicyTests(text, { file: 't.yaml', managedBy: 'file' }), problems);
  problems.throwIfAny();
  const [result] = runPolicyTests(tests, policy, createSuppose(context), now).cases;
  return result;
}

const ann = 'subject: { spiffeId: spiffe://prod.example/users/ann }';

it.each([
  [ann, 'permit: true, subject: spiffe://prod.example/users/ann, actors: [spiffe://prod.example/orders]'],
  [
    `${ann}, actor: { spiffeId: spiffe://prod.example/team-a }`,
    'permit: true, actors: [spiffe://prod.example/team-a]',
  ],
  [
    'subject: { spiffeId: spiffe://prod.example/bob }',
    'permit: false, reason: policy.delegation_not_permitted',
  ],
  [
    `subject: { spiffeId: spiffe://prod.example/users/ann, scope: items:write }`,
    'permit: false, reason: policy.scope_beyond_subject',
  ],
  [
    `subject: { spiffeId: spiffe://prod.example/users/ann, scope: items:read }`,
    'permit: true, scope: items:read',
  ],
  [
    `subject: { spiffeId: spiffe://nowhere.example/ann }`,
    'permit: false, reason: credential.unknown_trust_domain',
  ],
  ['claims: {}', 'permit: true, subject: spiffe://prod.example/orders, actors: []'],
])('given %s, expects %s', (given, expected) => {
  expect(outcomeOf(given, expected)?.differences).toEqual([]);
});

it('shows what differs, and names the case by both', () => {
  const result = outcomeOf(ann, 'permit: true, subject: spiffe://prod.example/orders, actors: []');
  expect(result?.name).toBe(
    'spiffe://prod.example/orders for spiffe://prod.example/users/ann asks for https://inventory.internal.example with items:read',
  );
  expect(result?.differences).toMatchObject([
    { field: 'expect.subject', actual: 'spiffe://prod.example/users/ann' },
    { field: 'expect.actors', expected: '(none)', actual: 'spiffe://prod.example/orders' },
  ]);
});

it.each([
  ['actor: { spiffeId: spiffe://prod.example/a }', 'an actor acts for a subject: give that too'],
  ['subject: { claims: {} }', 'give exactly one of spiffeId and issuer'],
  ['subject: { issuer: prod-cluster }', 'give the claims that the issuer is supposed to have signed'],
])('refuses %s', (given, message) => {
  expect(() => outcomeOf(given, 'permit: true')).toThrow(PolicyRefused);
  expect(() => outcomeOf(given, 'permit: true')).toThrow(message);
});
