/** What the commands print for people. */
import { describe, expect, it } from 'vitest';
import { explainProblem, parseField } from '../../../src/cli/explain-problem.ts';
import { createPaint, plain, plainJson } from '../../../src/cli/paint.ts';
import { printDiff, printReplay } from '../../../src/cli/print-diff.ts';
import { printEvent } from '../../../src/cli/print-event.ts';
import { reasonSentences, sentenceOf } from '../../../src/cli/reason-sentences.ts';
import { reasons } from '../../../src/core/error.ts';
import { describeField } from '../../../src/core/policy/source.ts';

const noColour = createPaint(false, {});

describe('colour', () => {
  it('comes on a terminal alone, and never with NO_COLOR', () => {
    expect(createPaint(true, {})('red', 'x')).toBe('\u001b[31mx\u001b[39m');
    expect(createPaint(true, { NO_COLOR: '' })('red', 'x')).not.toBe('x');
    expect(createPaint(true, { NO_COLOR: '1' })('red', 'x')).toBe('x');
    expect(createPaint(true, { TERM: 'dumb' })('red', 'x')).toBe('x');
    expect(noColour('red', 'x')).toBe('x');
  });

  it('is not in the hands of what is printed', () => {
    expect(plain('a\u001b[31mb\u001b]8;;https://evil.test\u0007c\nd\u009bm')).not.toMatch(/\p{Cc}/u);
    expect(plain('a\u202egnp.exe\u2028b\ud800')).toBe('a�gnp.exe�b�');
    expect(plain('naïve 名前')).toBe('naïve 名前');
  });

  it('is not in the hands of what is printed as JSON, which says the same', () => {
    const value = { text: 'a\u009b31m\u202eb\u{e0041}\u2028 naïve 名前 😀', n: [1] };
    const line = plainJson(value);
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    expect(line).toContain('naïve 名前 😀');
    expect(JSON.parse(line)).toEqual(value);
  });
});

describe('printEvent', () => {
  const event = {
    request_id: '01890000-0000-7000-8000-000000000000',
    at: '2027-01-15T08:00:00.000Z',
    outcome: 'refused',
    action: 'token.exchange',
    remote_address: '10.0.0.1',
    credential_kind: 'platform-token',
    issuer: 'cluster',
    identity: 'spiffe://mintmark.test/cluster/ns/a/sa/b',
    claims: { 'kubernetes.io': { namespace: 'a' }, sub: 'b' },
    audience: 'https://inventory.test',
    requested_scopes: ['items:write'],
    reason: 'policy.scope_not_permitted',
    error_code: 'invalid_scope',
    checks: [
      { check: 'grant.subject', grant: 'reads', ok: true, expected: 'issuer cluster', actual: 'cluster' },
      { check: 'scope', ok: false, expected: 'among: items:read', actual: 'not permitted: items:write' },
    ],
    policy_revision: 7,
  } as const;
  const mutable = { ...event, requested_scopes: [...event.requested_scopes], checks: [...event.checks] };

  it('says who asked for what, what came of it and why', () => {
    expect(
      printEvent(mutable, noColour),
    ).toBe(`✗ A token was refused: a scope was asked for that no grant permits.

caller     spiffe://mintmark.test/cluster/ns/a/sa/b
vouched by Issuer/cluster (platform-token)
claims     kubernetes.io={"namespace":"a"}, sub=b
asked for  https://inventory.test with scope items:write
reason     policy.scope_not_permitted
told       invalid_scope
policy     revision 7
when       2027-01-15T08:00:00.000Z
from       10.0.0.1
request    01890000-0000-7000-8000-000000000000

what was looked at, in order
✓ grant.subject of Grant/reads
    expected issuer cluster
    actual   cluster
✗ scope
    expected among: items:read
    actual   not permitted: items:write
`);
  });

  it('says which claims were asked for', () => {
    const text = printEvent({ ...mutable, requested_claims: ['order_id', 'note'] }, noColour);
    expect(text).toContain(
      'asked for  https://inventory.test with scope items:write, adding order_id note\n',
    );
  });

  it('says what was given', () => {
    const text = printEvent(
      {
        ...mutable,
        outcome: 'permitted',
        reason: undefined,
        error_code: undefined,
        jti: 'j',
        resource: 'inventory',
        scopes: ['items:read'],
        grants: ['reads'],
        token_expires_at: '2027-01-15T08:05:00.000Z',
      },
      noColour,
    );
    expect(text).toMatch(/^✓ A token was given\.\n/);
    expect(text).toContain(
      'given      a token j for inventory with scope items:read, until 2027-01-15T08:05:00.000Z\ngrants     reads\n',
    );
  });

  it('tells of what an admin did', () => {
    const { request_id, at, remote_address } = event;
    const text = printEvent(
      {
        request_id,
        at,
        remote_address,
        outcome: 'permitted',
        action: 'admin.policy.replace',
        actor: 'bootstrap',
        summary: '1 added, 0 changed, 0 removed; now at revision 2',
      },
      noColour,
    );
    expect(text).toMatch(/^✓ admin\.policy\.replace was done\.\n\nactor {6}bootstrap\nsummary {4}1 added/);
  });

  it('lets no caller steer the terminal', () => {
    const text = printEvent({ ...mutable, audience: 'a\u001b[2J\nreason     credential.ok' }, noColour);
    expect(text).not.toContain('\u001b');
    expect(text).not.toContain('\nreason     credential.ok');
  });
});

describe('sentences', () => {
  it('are there for every reason of the catalogue, and for no other', () => {
    expect(Object.keys(reasonSentences).sort()).toEqual(Object.keys(reasons).sort());
  });

  it('fall back to the reason itself', () => {
    expect(sentenceOf('credential.expired')).toBe('the credential has expired');
    for (const unknown of ['from.the_future', 'toString', '__proto__'])
      expect(sentenceOf(unknown)).toBe(unknown);
  });
});

describe('printReplay', () => {
  it('says how many are not listed', () => {
    const attempt = {
      identity: 'spiffe://a.test/b',
      before: 'permitted',
      after: 'policy.no_grant',
      count: 3,
    };
    const listed = { newly_permitted: [], newly_refused: [{ ...attempt, request_id: 'r' }] };
    const counts = { looked_at: 9, unknown: 1, newly_permitted_total: 0 };
    const text = (total: number) =>
      printReplay({ ...listed, ...counts, newly_refused_total: total }, noColour);
    const line = '- spiffe://a.test/b for the default target: permitted → policy.no_grant (3, such as r)\n';
    const last = '9 recent exchanges decided again; 1 cannot be told from the audit\n';
    expect(text(3)).toBe(line + last);
    expect(text(7)).toBe(`${line}- and 4 more, 7 in all\n${last}`);
  });
});

describe('printDiff', () => {
  it('shows each document and field that changes', () => {
    const text = printDiff(
      {
        added: [{ kind: 'Grant', name: 'a' }],
        removed: [{ kind: 'Grant', name: 'c' }],
        changed: [
          {
            kind: 'Grant',
            name: 'b',
            fields: [
              { field: 'spec.scopes', before: ['x'], after: ['x', 'y'] },
              { field: 'spec.notAfter', after: '2027-01-01T00:00:00Z' },
              { field: 'spec.default', before: true },
            ],
          },
        ],
      },
      noColour,
    );
    expect(text).toBe(`+ Grant/a
~ Grant/b
    spec.scopes: ["x"] → ["x","y"]
    spec.notAfter: + "2027-01-01T00:00:00Z"
    spec.default: - true
- Grant/c
`);
  });
});

describe('explainProblem', () => {
  it('puts the mistake at the line of its own file', () => {
    const asked: unknown[] = [];
    const text = explainProblem(
      {
        type: 'urn:mintmark:problem:policy-refused',
        title: 'The policy was refused',
        status: 422,
        request_id: 'r',
        problems: [
          { document: 'Grant/a', field: 'spec.subjects[0]', message: 'wrong' },
          { document: 'Grant/elsewhere', field: '', message: 'refers to what is gone' },
        ],
      },
      [
        {
          value: { kind: 'Grant', metadata: { name: 'a' } },
          managedBy: 'rest',
          locate: (path) => {
            asked.push(path);
            return { file: 'a.yaml', line: 9 };
          },
        },
      ],
    );
    expect(text).toBe('a.yaml:9: Grant/a spec.subjects[0]: wrong\nGrant/elsewhere: refers to what is gone');
    expect(asked).toEqual([['spec', 'subjects', 0]]);
  });

  it('says where to change what the file manages, and nothing of files for another conflict', () => {
    const problem = { title: 'No', status: 409, request_id: 'r' };
    const explain = (slug: string) => explainProblem({ ...problem, type: `urn:mintmark:problem:${slug}` });
    expect(explain('managed-by-file')).toContain('MINTMARK_POLICY');
    expect(explain('keys-conflict')).toBe('No\n(request r)');
  });

  it.each([
    [['spec', 'scopes', 0]],
    [['spec', 'require', 'kubernetes.io.namespace', 1]],
    [['metadata', 'labels', 'a"b]\\c']],
    [[]],
    [[2, 'kind']],
  ])('reads the field of %j back', (path) => {
    expect(parseField(describeField(path))).toEqual(path);
  });
});
