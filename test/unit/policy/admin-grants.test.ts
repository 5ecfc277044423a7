/** Who is an admin by the policy: what a grant of the admin API may say, what it gives, and that one who can mend it is left. */
import { describe, expect, it } from 'vitest';
import { decide } from '../../../src/core/decide.ts';
import { grantedAdminScopes, isAdminLeft } from '../../../src/core/policy/admin-grants.ts';
import { createPolicyBook } from '../../../src/core/policy/book.ts';
import { makeKey } from '../../support/tokens.ts';
import { compileText, context, exampleText, identity, lineHolding, problemsOf } from './example-policy.ts';
import { memoryPolicyStore } from './memory-policy-store.ts';

const now = Date.parse('2026-06-01T00:00:00Z');
const audience = 'https://sts.example/admin/v1';
const ann = 'spiffe://prod.example/ann';
/** Vouched for by the Issuer `acme-ci`. */
const job = 'spiffe://mintmark.example/ci/74';

interface AdminGrant {
  readonly subjects?: string;
  readonly scopes?: string;
  readonly more?: string;
  readonly name?: string;
}

const adminGrant = ({ subjects, scopes, more = '', name = 'admins' }: AdminGrant = {}) => `---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: ${name} }
spec:
  subjects: [${subjects ?? `{ spiffeId: ${ann} }`}]
  resource: mintmark-admin
  scopes: [${scopes ?? 'policy:read, policy:write, policy:admin'}]
${more}
`;
const withGrants = (...grants: AdminGrant[]) => compileText(exampleText + grants.map(adminGrant).join(''));

describe('a grant on mintmark-admin', () => {
  it('warns where a workload that pushes keys could be the admin, and nowhere else', async () => {
    const { publicJwk } = await makeKey('pinned-1');
    const keys = JSON.stringify({ jwks: { keys: [publicJwk] }, pushedBy: '/pushed/pusher' });
    const issuer = `---
apiVersion: mintmark/v1
kind: Issuer
metadata: { name: pushed }
spec: { platform: oidc, issuer: https://pushed.example, subject: "/pushed/{sub}", keys: ${keys} }
`;
    const admins = adminGrant({
      subjects: `{ spiffeId: ${ann} }, { spiffeId: spiffe://mintmark.example/pushed/ann }, { spiffeId: ${job} }`,
    });
    const warned = compileText(exampleText + issuer + admins).warnings.filter(
      ({ document }) => document === 'Grant/admins',
    );
    expect(warned).toEqual([
      expect.objectContaining({
        field: 'spec.subjects[1].spiffeId',
        message:
          'is an identity of Issuer "pushed", whose keys.pushedBy can push keys that make it this admin: name admins of another issuer',
      }),
    ]);
  });

  it('gives a token for ten minutes at most', () => {
    const decision = decide(identity(ann), { audience, scopes: ['policy:read'] }, withGrants({}), now);
    expect(decision).toMatchObject({ permit: true, scopes: ['policy:read'], lifetimeSeconds: 600 });
    const stranger = decide(identity(job), { audience, scopes: ['policy:read'] }, withGrants({}), now);
    expect(stranger).toMatchObject({ permit: false, reason: 'policy.no_grant' });
  });

  const nobodyElse =
    'could cover identities that nobody has looked at: name each admin by spiffeId on mintmark-admin';
  it.each([
    ['prefix', { subjects: '{ prefix: spiffe://prod.example/ann }' }, 'subjects[0].prefix', nobodyElse],
    [
      'pattern',
      { subjects: '{ pattern: "spiffe://prod\\\\.example/ann-[0-9]+" }' },
      'subjects[0].pattern',
      nobodyElse,
    ],
    [
      'trustDomain',
      { subjects: '{ trustDomain: prod.example }', more: '  acknowledgeWide: true' },
      'subjects[0].trustDomain',
      nobodyElse,
    ],
    [
      'issuer',
      { subjects: '{ issuer: acme-ci }', more: '  acknowledgeWide: true' },
      'subjects[0].issuer',
      nobodyElse,
    ],
    [
      'set:',
      { more: '  claims: { set: { team: a } }' },
      'claims.set',
      'the admin API reads no such claim: leave it out on mintmark-admin',
    ],
    [
      'copy:',
      { more: '  claims: { copy: { team: group } }' },
      'claims.copy',
      'the admin API reads no such claim: leave it out on mintmark-admin',
    ],
    [
      'allowRequested:',
      { more: '  claims: { allowRequested: { team: { type: string, maxLength: 8 } } }' },
      'claims.allowRequested',
      'the admin API reads no such claim: leave it out on mintmark-admin',
    ],
    [
      'default:',
      { more: '  default: true' },
      'default',
      'a request that names no target would get an admin token, and might send it anywhere: leave it out',
    ],
  ])('may not say %s', (word, grant, field, message) => {
    const text = exampleText + adminGrant(grant);
    const at = text.indexOf(word, exampleText.length);
    const line = text.slice(0, at).split('\n').length;
    expect(problemsOf(text)).toEqual([
      { document: 'Grant/admins', field: `spec.${field}`, file: 'policy.yaml', line, message },
    ]);
  });

  it('may not name a scope that the admin API lacks', () => {
    const text = exampleText + adminGrant({ scopes: 'policy:wirte' });
    expect(problemsOf(text)).toMatchObject([
      {
        field: 'spec.scopes[0]',
        line: lineHolding(text, 'policy:wirte'),
        message: expect.stringContaining('did you mean'),
      },
    ]);
  });
});

describe('the scopes that the policy in force gives', () => {
  const scopes = (grants: AdminGrant[], who = ann, at = now) => [
    ...grantedAdminScopes(withGrants(...grants), who, context.trustDomain, at),
  ];

  it('are those of every grant that names the identity', () => {
    const more = { name: 'more', scopes: 'audit:read' };
    expect(scopes([{ scopes: 'policy:read' }, more])).toEqual(['policy:read', 'audit:read']);
    expect(scopes([{ scopes: 'policy:read' }, more], 'spiffe://prod.example/ann/b')).toEqual([]);
    expect(scopes([])).toEqual([]);
  });

  it('are none where the grant is only observed', () => {
    expect(scopes([{ scopes: 'policy:read', more: '  mode: observe' }])).toEqual([]);
  });

  it('end with the grant', () => {
    const ending = [{ scopes: 'policy:read', more: '  notAfter: 2026-07-01T00:00:00Z' }];
    const end = Date.parse('2026-07-01T00:00:00Z');
    expect(scopes(ending, ann, end - 1)).toEqual(['policy:read']);
    expect(scopes(ending, ann, end)).toEqual([]);
  });

  it('need somebody who vouches for the identity', () => {
    const of = (who: string) => scopes([{ subjects: `{ spiffeId: ${who} }`, scopes: 'policy:read' }], who);
    expect(of(job)).toEqual(['policy:read']);
    expect(of('spiffe://mintmark.example/cii/74')).toEqual([]);
    expect(of('spiffe://mintmark.example/ci')).toEqual([]);
  });
});

describe('somebody who can change the policy', () => {
  const isLeft = (...grants: AdminGrant[]) => isAdminLeft(withGrants(...grants), context.trustDomain);

  it('is left where one identity has both scopes for good', () => {
    expect(isLeft({})).toBe(true);
    expect(isLeft({ scopes: 'policy:write' }, { name: 'b', scopes: 'policy:admin' })).toBe(true);
    expect(isLeft({ subjects: `{ spiffeId: ${job} }` })).toBe(true);
  });

  it.each<[string, AdminGrant[]]>([
    ['no grant is there', []],
    ['the grants lack policy:admin', [{ scopes: 'policy:read, policy:write' }]],
    ['the grants lack policy:write', [{ scopes: 'policy:read, policy:admin' }]],
    [
      'two identities have one scope each',
      [{ scopes: 'policy:write' }, { name: 'b', subjects: `{ spiffeId: ${job} }`, scopes: 'policy:admin' }],
    ],
    ['the grant is only observed', [{ more: '  mode: observe' }]],
    ['the grant has a condition', [{ more: '  condition: "true"' }]],
    ['the grant will end', [{ more: '  notAfter: 2099-01-01T00:00:00Z' }]],
    [
      'no issuer vouches for the identity',
      [{ subjects: '{ spiffeId: spiffe://mintmark.example/nowhere/74 }' }],
    ],
  ])('is not where %s', (_, grants) => {
    expect(isLeft(...grants)).toBe(false);
  });
});

describe('a change that would leave nobody', () => {
  const event = () => ({
    requestId: 'r',
    at: now,
    outcome: 'permitted' as const,
    action: 'test',
    remoteAddress: 'local',
  });
  const sourcesOf = (...grants: AdminGrant[]) =>
    withGrants(...grants).documents.map(({ body }) => ({
      value: body,
      managedBy: 'rest' as const,
      locate: () => ({}),
    }));
  const open = (mustKeepAdmin: boolean) =>
    createPolicyBook({ store: memoryPolicyStore(), context, clock: { now: () => now }, mustKeepAdmin });
  const options = { author: 'ann', event, permit: () => {} };

  it('is refused over REST while the bootstrap token is off, planned or dry too', async () => {
    const book = open(true);
    await book.replace(sourcesOf({}), { ...options, managedBy: 'rest' });
    const problems = [
      { document: 'policy', field: '', message: expect.stringContaining('nobody could change') },
    ];
    const refused = expect.objectContaining({ problems });
    await expect(book.plan(sourcesOf(), { managedBy: 'rest' })).rejects.toEqual(refused);
    for (const dryRun of [true, false]) {
      await expect(book.replace(sourcesOf(), { ...options, managedBy: 'rest', dryRun })).rejects.toEqual(
        refused,
      );
    }
    expect(book.current().revision).toBe(1);
    expect((await book.replace(sourcesOf({ name: 'b' }), { ...options, managedBy: 'rest' })).revision).toBe(
      2,
    );
  });

  it('is made where the bootstrap token is on, and where it is the operator’s file', async () => {
    expect((await open(false).replace(sourcesOf(), { ...options, managedBy: 'rest' })).revision).toBe(1);
    expect((await open(true).replace(sourcesOf(), { ...options, managedBy: 'file' })).revision).toBe(1);
  });
});
