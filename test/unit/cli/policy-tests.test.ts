/** `mintmark test`: cases run on the policy beside them, reported with expected and actual, and their places. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { junitReport } from '../../../src/cli/test-report.ts';
import type { CaseResult } from '../../../src/core/run-policy-tests.ts';
import { runCli } from '../../http/admin/run-cli.ts';
import { readXml } from '../../support/xml.ts';

let folder: string;
let policy: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mintmark-test-'));
  policy = write('policy.yaml', policyText);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const policyText = `apiVersion: mintmark/v1
kind: Issuer
metadata: { name: cluster }
spec:
  platform: kubernetes
  issuer: https://oidc.cluster.test
  require: { kubernetes.io.namespace: [payments] }
---
apiVersion: mintmark/v1
kind: TrustDomain
metadata: { name: prod.test }
spec: { bundle: { url: https://bundle.prod.test, profile: https_web } }
---
apiVersion: mintmark/v1
kind: Resource
metadata: { name: inventory }
spec: { audience: https://inventory.test, scopes: [items:read, items:write], tokenLifetime: 10m }
---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: reads }
spec:
  subjects: [{ spiffeId: spiffe://prod.test/orders }]
  resource: inventory
  scopes: [items:read]
  maxTokenLifetime: 5m
  claims: { set: { tenant: acme }, copy: { repo: repository } }
  notAfter: 2027-01-01T00:00:00Z
---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: payments-write }
spec:
  subjects: [{ issuer: cluster }]
  resource: inventory
  scopes: [items:write]
  defaultScopes: [items:write]
`;

const header = (name: string) => `apiVersion: mintmark/v1
kind: PolicyTest
metadata: { name: ${name} }
spec:
`;

const orders = `${header('orders')}  - name: reads what it was given
    given: { spiffeId: spiffe://prod.test/orders, claims: { repository: acme/orders } }
    request: { audience: https://inventory.test, scope: items:read }
    at: 2026-12-01T00:00:00Z
    expect:
      permit: true
      subject: spiffe://prod.test/orders
      audience: https://inventory.test
      scope: items:read
      lifetime: 5m
      claims: { tenant: acme, repo: acme/orders }
      grants: [reads]
  - given: { spiffeId: spiffe://prod.test/orders }
    request: { audience: https://inventory.test, scope: items:write }
    at: 2026-12-01T00:00:00Z
    expect: { permit: false, reason: policy.scope_not_permitted, subject: spiffe://prod.test/orders }
  - name: is over
    given: { spiffeId: spiffe://prod.test/orders }
    request: { audience: https://inventory.test }
    at: 2027-01-01T00:00:00Z
    expect: { permit: false, reason: policy.no_grant }
`;

const cluster = `${header('cluster')}  - given:
      issuer: cluster
      claims:
        sub: system:serviceaccount:payments:api
        kubernetes.io: { namespace: payments, serviceaccount: { name: api, uid: "1" } }
    request: { audience: https://inventory.test }
    expect: { permit: true, subject: spiffe://sts.test/cluster/ns/payments/sa/api, scope: items:write }
  - given: { issuer: cluster, claims: { kubernetes.io: { namespace: kube-system } } }
    request: { audience: https://inventory.test }
    expect: { permit: false, reason: credential.requirement_unmet }
`;

const run = (path: string, ...more: string[]) =>
  runCli(['test', '-f', policy, path, '--issuer', 'https://sts.test', ...more]);

describe('mintmark test', () => {
  it('ends with 0 where every case is as expected, and covers what gave a token', async () => {
    const path = write('good.yaml', `${orders}---\n${cluster}`);
    const result = await run(path, '--coverage');
    expect(result).toEqual({
      exitCode: 0,
      err: '',
      out: [
        '✓ orders: reads what it was given',
        '✓ orders: spiffe://prod.test/orders asks for https://inventory.test with items:write',
        '✓ orders: is over',
        '✓ cluster: claims of cluster asks for https://inventory.test',
        '✓ cluster: claims of cluster asks for https://inventory.test',
        '5 passed, 0 failed',
        'coverage 100 %: 2 of 2 grants, 1 of 1 issuers',
        '',
      ].join('\n'),
    });
  });

  it('decides on the additional claims of a request as the exchange does', async () => {
    const given = '{ spiffeId: spiffe://prod.test/orders, claims: { repository: acme/orders } }';
    const ask = (claims: string, expected: string) => `  - given: ${given}
    request: { audience: https://inventory.test, scope: items:read, additional_claims: ${claims} }
    at: 2026-12-01T00:00:00Z
    expect: ${expected}
`;
    const refusals = [
      ['{ order_id: A1 }', 'request.claim_invalid'],
      ['{ note: x }', 'request.claim_not_allowed'],
      ['{ iss: x }', 'request.claim_not_allowed'],
      ['{ tenant: other }', 'request.claim_conflict'],
      [`{ order_id: ${'x'.repeat(4096)} }`, 'request.claims_too_large'],
    ] as const;
    const path = write(
      'asking.yaml',
      header('asking') +
        ask(
          '{ order_id: a1 }',
          '{ permit: true, claims: { tenant: acme, repo: acme/orders, order_id: a1 } }',
        ) +
        ask('{}', '{ permit: true, claims: { tenant: acme, repo: acme/orders } }') +
        refusals.map(([claims, reason]) => ask(claims, `{ permit: false, reason: ${reason} }`)).join(''),
    );
    const allowing = write(
      'allowing.yaml',
      `${policyText}---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: asks }
spec:
  subjects: [{ prefix: spiffe://prod.test/orders }]
  resource: inventory
  scopes: [items:read]
  claims: { allowRequested: { order_id: { enum: [a1] }, tenant: { enum: [acme, other] } } }
`,
    );
    const result = await runCli(['test', '-f', allowing, path]);
    expect(result).toMatchObject({ exitCode: 0, err: '' });
    expect(result.out).toContain(
      '✓ asking: spiffe://prod.test/orders asks for https://inventory.test with items:read, adding order_id\n',
    );
    expect(result.out).toContain('7 passed, 0 failed\n');
  });

  it('asks for the format that a case names', async () => {
    const formats = policyText.replace(
      'tokenLifetime: 10m }',
      'tokenLifetime: 10m, tokenFormats: [access_token, jwt-svid] }',
    );
    const cases = `${header('svid')}  - given:
      issuer: cluster
      claims:
        sub: system:serviceaccount:payments:api
        kubernetes.io: { namespace: payments, serviceaccount: { name: api, uid: "1" } }
    request: { audience: https://inventory.test, tokenFormat: jwt-svid }
    expect: { permit: true, subject: spiffe://sts.test/cluster/ns/payments/sa/api, scope: "" }
  - given: { spiffeId: spiffe://prod.test/orders }
    at: 2026-12-01T00:00:00Z
    request: { audience: https://inventory.test, tokenFormat: jwt-svid }
    expect: { permit: false, reason: policy.foreign_trust_domain }
`;
    const path = write('formats.yaml', `${formats}---\n${cases}`);
    const result = await runCli(['test', '-f', path, '--issuer', 'https://sts.test']);
    expect(result).toMatchObject({ exitCode: 0, err: '' });
    expect(result.out).toContain('2 passed, 0 failed');
    const unknown = write('unknown.yaml', `${formats}---\n${cases.replace('jwt-svid', 'saml')}`);
    expect((await runCli(['test', '-f', unknown])).exitCode).not.toBe(0);
  });

  it('names the proof that a case supposes to be shown', async () => {
    const demanding = write(
      'demanding.yaml',
      policyText.replace('tokenLifetime: 10m }', 'tokenLifetime: 10m, proof: dpop }'),
    );
    const cases = write(
      'proofs.yaml',
      `${header('proofs')}  - given: { spiffeId: spiffe://prod.test/orders }
    request: { audience: https://inventory.test, proof: dpop }
    at: 2026-12-01T00:00:00Z
    expect: { permit: true }
  - given: { spiffeId: spiffe://prod.test/orders }
    request: { audience: https://inventory.test, proof: mtls }
    at: 2026-12-01T00:00:00Z
    expect: { permit: false, reason: policy.dpop_required }
`,
    );
    const result = await runCli(['test', '-f', demanding, cases, '--issuer', 'https://sts.test']);
    expect(result).toMatchObject({ exitCode: 0, err: '' });
    expect(result.out).toContain('2 passed, 0 failed');
  });

  it('reads a folder, policy and tests in one', async () => {
    const one = join(folder, 'one');
    mkdirSync(one);
    write('one/policy.yaml', policyText);
    write('one/orders-test.yaml', orders);
    const result = await runCli(['test', '-f', one]);
    expect(result).toMatchObject({ exitCode: 0, err: '' });
  });

  it.each([
    ['permit', 'permit: true\n', 'permit: false\n', 'expected false, actual true', /lifetime|grants/],
    [
      'subject',
      'subject: spiffe://prod.test/orders\n',
      'subject: spiffe://prod.test/x\n',
      'expected spiffe://prod.test/x, actual spiffe://prod.test/orders',
      /permit/,
    ],
    [
      'audience',
      'audience: https://inventory.test\n',
      'audience: https://other.test\n',
      'expected https://other.test, actual https://inventory.test',
      /permit/,
    ],
    [
      'scope',
      'scope: items:read\n',
      'scope: items:read items:write\n',
      'expected items:read items:write, actual items:read',
      /permit/,
    ],
    ['lifetime', 'lifetime: 5m', 'lifetime: 10m', 'expected 600s, actual 300s', /permit/],
    [
      'claims',
      'claims: { tenant: acme, repo: acme/orders }\n',
      'claims: { tenant: acme }\n',
      'expected {"tenant":"acme"}, actual {"tenant":"acme","repo":"acme/orders"}',
      /permit/,
    ],
    ['grants', 'grants: [reads]', 'grants: [reads, more]', 'expected more reads, actual reads', /permit/],
  ])('ends with 1 and says where %s is not as expected', async (field, part, by, difference, never) => {
    const stripped =
      field === 'permit' ? orders.replace(/ {6}(audience|scope|lifetime|claims|grants): .*\n/g, '') : orders;
    expect(stripped).toContain(part);
    const text = stripped.replace(part, by);
    const path = write('differs.yaml', text);
    const result = await run(path);
    const line = text.split('\n').findIndex((content) => content.startsWith(`      ${field}:`)) + 1;
    expect(result).toMatchObject({ exitCode: 1, err: '' });
    expect(result.out).toContain(`\n    ${path}:${line}: expect.${field}: ${difference}\n`);
    expect(result.out).toContain('✗ orders: reads what it was given (');
    expect(result.out).toContain('2 passed, 1 failed\n');
    expect(result.out).not.toMatch(new RegExp(`expect\\.(${never.source})`));
  });

  it('says why the policy refuses what was expected to be permitted', async () => {
    const path = write(
      'wrong.yaml',
      `${header('wrong')}  - given: { spiffeId: spiffe://prod.test/orders }
    request: { audience: https://inventory.test, scope: items:write }
    at: 2026-12-01T00:00:00Z
    expect: { permit: true }
  - given: { issuer: cluster, claims: { sub: x, kubernetes.io: { namespace: other } } }
    request: { audience: https://inventory.test }
    expect: { permit: true }
  - given: { spiffeId: spiffe://prod.test/order }
    request: { audience: https://inventory.test }
    expect: { permit: false, reason: policy.unknown_resource }
`,
    );
    const { exitCode, out } = await run(path);
    expect(exitCode).toBe(1);
    expect(out).toContain(
      `${path}:8: expect.permit: expected true, actual false (policy.scope_not_permitted)\n`,
    );
    expect(out).toContain(
      '    Grant/reads: grant.scopes: expected among: items:read, actual asked for: items:write\n',
    );
    expect(out).toContain('    kubernetes.io.namespace: expected "payments", actual "other"\n');
    expect(out).toContain('expect.reason: expected policy.unknown_resource, actual policy.no_grant\n');
    expect(out).toContain(
      '    Grant/reads: grant.subject: expected spiffeId spiffe://prod.test/orders, actual spiffe://prod.test/order\n',
    );
  });

  it('holds supposed claims to the issuer’s condition', async () => {
    const requirement = '  require: { kubernetes.io.namespace: [payments] }\n';
    const condition = `  condition: claims.sub != "system:serviceaccount:payments:api"\n`;
    const conditional = write('conditional.yaml', policyText.replace(requirement, requirement + condition));
    const path = write('conditional-test.yaml', cluster);
    const result = await runCli(['test', '-f', conditional, path, '--issuer', 'https://sts.test']);
    expect(result).toMatchObject({ exitCode: 1, err: '' });
    expect(result.out).toContain('expect.permit: expected true, actual false (credential.condition_unmet)\n');
    expect(result.out).toContain('1 passed, 1 failed\n');
  });

  it('names what no test exercised, and ends with 1 below the least coverage alone', async () => {
    const path = write('some.yaml', orders);
    const enough = await run(path, '--coverage-min', '33');
    expect(enough).toMatchObject({ exitCode: 0, err: '' });
    expect(enough.out).toContain('○ Grant/payments-write: no test gets anything by it\n○ Issuer/cluster: ');
    expect(enough.out).toContain('coverage 33 %: 1 of 2 grants, 0 of 1 issuers\n');
    const short = await run(path, '--coverage-min', '34');
    expect(short).toMatchObject({ exitCode: 1, err: 'coverage is 33 %, below 34 %\n' });
    expect(short.out).toContain('3 passed, 0 failed');
  });

  it('writes reports that machines read', async () => {
    const path = write('reported.yaml', orders.replace('lifetime: 5m', 'lifetime: 10m'));
    const [junit, json] = [join(folder, 'out.xml'), join(folder, 'out.json')];
    const result = await run(path, '--report', `junit=${junit}`, '--report', `json=${json}`, '--json');
    expect(result).toMatchObject({ exitCode: 1, err: '' });
    const report = JSON.parse(readFileSync(json, 'utf8'));
    expect(JSON.parse(result.out)).toEqual(report);
    expect(report).toMatchObject({
      passed: 2,
      failed: 1,
      cases: [
        {
          test: 'orders',
          file: path,
          line: 5,
          passed: false,
          differences: [{ field: 'expect.lifetime', line: 14, expected: '600s', actual: '300s' }],
        },
        { passed: true },
        { passed: true },
      ],
      coverage: { percent: 33, grants: { total: 2, missing: ['payments-write'] } },
    });
    const [suites] = readXml(readFileSync(junit, 'utf8'));
    expect(suites).toMatchObject({
      name: 'testsuites',
      attributes: { tests: '3', failures: '1' },
      children: [{ name: 'testsuite', attributes: { name: 'orders', tests: '3', failures: '1' } }],
    });
    expect(suites?.children[0]?.children[0]).toMatchObject({
      name: 'testcase',
      attributes: { classname: 'PolicyTest/orders', name: 'reads what it was given', file: path, line: '5' },
      children: [
        {
          name: 'failure',
          attributes: { message: `${path}:14: expect.lifetime: expected 600s, actual 300s` },
        },
      ],
    });
  });

  it('ends with 2 where there is nothing to run, or an option says nothing', async () => {
    const none = await runCli(['test', '-f', policy]);
    expect(none).toMatchObject({ exitCode: 2, out: '' });
    expect(none.err).toContain('there is no PolicyTest in ');
    const path = write('options.yaml', orders);
    for (const [option, value] of [
      ['--report', 'html=x'],
      ['--report', 'junit='],
      ['--report', `junit=${join(folder, 'absent', 'x.xml')}`],
      ['--coverage-min', '101'],
      ['--coverage-min', 'all'],
    ] as const) {
      expect(await run(path, option, value), value).toMatchObject({ exitCode: 2, out: '' });
    }
  });

  it.each([
    [
      'an unknown field',
      'scope: items:read }',
      'scopes: items:read }',
      'spec[0].request.scopes: unknown field "scopes": did you mean "scope"?',
      7,
    ],
    [
      'additional claims that are no mapping',
      'scope: items:read }',
      'scope: items:read, additional_claims: [x] }',
      'spec[0].request.additional_claims: must be a mapping',
      7,
    ],
    [
      'an unknown expectation',
      'permit: true\n',
      'allow: true\n',
      'spec[0].expect.allow: unknown field "allow"',
      10,
    ],
    [
      'an unknown reason',
      'reason: policy.no_grant',
      'reason: policy.no_grants',
      'spec[2].expect.reason: there is no reason "policy.no_grants": did you mean "policy.no_grant"?',
      25,
    ],
    [
      'a reason for what is permitted',
      'permit: true\n',
      'permit: true\n      reason: policy.no_grant\n',
      'spec[0].expect.reason: is of a refusal, and permit is true',
      11,
    ],
    [
      'a scope of what is refused',
      'permit: true\n',
      'permit: false\n',
      'spec[0].expect.scope: is of a token, and permit is false',
      13,
    ],
    [
      'two givens',
      'given: { spiffeId: spiffe://prod.test/orders, ',
      'given: { issuer: x, spiffeId: spiffe://prod.test/orders, ',
      'spec[0].given: give exactly one of spiffeId and issuer',
      6,
    ],
    [
      'an issuer without claims',
      'given: { spiffeId: spiffe://prod.test/orders }',
      'given: { issuer: cluster }',
      'spec[1].given: give the claims',
      17,
    ],
    [
      'no case',
      orders.slice(header('orders').length),
      '  []\n',
      'spec: a PolicyTest without a case tests nothing',
      4,
    ],
  ])('refuses %s with its line, in validate too', async (_title, part, by, message, line) => {
    expect(orders).toContain(part);
    const path = write('refused.yaml', orders.replace(part, by));
    const result = await run(path);
    expect(result).toMatchObject({ exitCode: 1, out: '' });
    expect(result.err).toContain(`${path}:${line}: PolicyTest/orders ${message}`);
    const validated = await runCli(['validate', '-f', policy, path]);
    expect(validated).toMatchObject({ exitCode: 1, out: '', err: result.err });
  });

  it('refuses two tests of one name, and counts tests in validate', async () => {
    const twice = await run(write('twice.yaml', `${orders}---\n${orders}`));
    expect(twice.err).toContain('PolicyTest/orders metadata.name: another PolicyTest has this name');
    const result = await runCli(['validate', '-f', policy, write('valid.yaml', `${orders}---\n${cluster}`)]);
    expect(result).toEqual({ exitCode: 0, out: '5 documents and 2 policy tests: valid\n', err: '' });
  });

  it('says what is wrong with the policy and with the tests at once', async () => {
    const wrong = write(
      'wrong-policy.yaml',
      policyText.replace('scopes: [items:write]', 'scopes: [items:erase]'),
    );
    const path = write('wrong-test.yaml', orders.replace('permit: true\n', 'permit: perhaps\n'));
    const result = await runCli(['test', '-f', wrong, path]);
    expect(result).toMatchObject({ exitCode: 1, out: '' });
    expect(result.err).toMatch(
      /Grant\/payments-write .*\n(.*\n)*.*PolicyTest\/orders spec\[0\]\.expect\.permit/,
    );
  });
});

describe('docs/policy.md', () => {
  it('shows a PolicyTest that its own example policy passes', async () => {
    const guide = readFileSync(new URL('../../../docs/policy.md', import.meta.url), 'utf8');
    const blocks = [...guide.matchAll(/```yaml\n(apiVersion[\s\S]*?)```/g)].map(([, yaml]) => yaml);
    expect(blocks).toHaveLength(2);
    const path = write('guide.yaml', blocks.join('---\n'));
    const result = await runCli(['test', '-f', path, '--issuer', 'https://mintmark.example']);
    expect(result).toMatchObject({ exitCode: 0, err: '' });
    expect(guide).toContain(result.out);
  });
});

describe('the JUnit report', () => {
  it('holds any text, and never what XML cannot hold', () => {
    const text = `a<b>&"'\u0000\u001b[31m\ud800\ufffe]]> naïve 名前 😀`;
    const result: CaseResult = {
      test: 'odd',
      name: text,
      differences: [{ field: 'expect.scope', expected: text, actual: text }],
      grants: [],
    };
    const clean = `a<b>&"'\ufffd\ufffd[31m\ufffd\ufffd]]> naïve 名前 😀`;
    const coverage = { percent: 100, grants: { total: 0, missing: [] }, issuers: { total: 0, missing: [] } };
    const [suites] = readXml(junitReport({ cases: [result], coverage }));
    const testcase = suites?.children[0]?.children[0];
    expect(testcase?.attributes.name).toBe(clean);
    expect(testcase?.children[0]?.text).toContain(`expected ${clean}, actual ${clean}`);
  });
});
