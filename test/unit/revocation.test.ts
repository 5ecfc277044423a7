/** Which tokens and identities a revocation covers, and which never. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRevocationSet, type Revocation } from '../../src/core/revocation.ts';
import { lastsUntil, momentAfter } from '../../src/core/revocation-life.ts';
import { factsAt, revocationAt } from '../support/revocations.ts';
import { testNowMillis, testNowSeconds } from '../support/tokens.ts';

const orders = 'spiffe://prod.test/orders';
const paths = 'spiffe://mintmark.test/github/acme/app';
type Changed = Parameters<typeof revocationAt>[1];

function setOf(...revocations: readonly ReturnType<typeof revocationAt>[]) {
  const set = createRevocationSet();
  for (const [index, revocation] of revocations.entries()) set.add({ id: index + 1, ...revocation });
  return set;
}

const svid = { spiffeId: orders as never, credentialKind: 'jwt-svid', trustDomain: 'prod.test' } as const;
const pipeline = { spiffeId: paths as never, credentialKind: 'platform-token', issuer: 'github' } as const;

const revocations: readonly [string, Changed, Partial<Parameters<typeof factsAt>[1]>][] = [
  ['its jti', { kind: 'token', target: 'a-token' }, {}],
  ['its key', { kind: 'key', target: 'k1' }, {}],
  ['its subject', { kind: 'identity', target: orders }, {}],
  [
    'its client',
    { kind: 'identity', target: 'spiffe://prod.test/gate' },
    { clientId: 'spiffe://prod.test/gate' },
  ],
  [
    'an actor deep in it',
    { kind: 'identity', target: 'spiffe://prod.test/deep' },
    { claims: { act: { sub: 'spiffe://prod.test/near', act: { sub: 'spiffe://prod.test/deep' } } } },
  ],
  [
    'its trust domain',
    { kind: 'issuer', target: 'TrustDomain/prod.test', subjects: 'spiffe://prod.test' },
    {},
  ],
  [
    'an issuer that gives its ID',
    { kind: 'issuer', target: 'Issuer/github', subjects: 'spiffe://mintmark.test/github/{repository|path}' },
    { subject: paths },
  ],
];

describe('a revocation', () => {
  it.each(revocations)('covers a token by %s, and none that has nothing of it', (_name, changed, facts) => {
    const revocation = revocationAt(testNowMillis, changed);
    const set = setOf(revocation);
    expect(set.covers(factsAt(testNowSeconds, facts))).toBe(revocation.kind);
    const other = {
      jti: 'b',
      kid: 'k2',
      subject: 'spiffe://other.test/x',
      clientId: 'spiffe://other.test/x',
    };
    expect(set.covers(factsAt(testNowSeconds, other))).toBeUndefined();
  });

  it('of an issuer covers no ID that only begins like its own, or stands in another trust domain', () => {
    const set = setOf(
      revocationAt(testNowMillis, {
        kind: 'issuer',
        target: 'Issuer/github',
        subjects: 'spiffe://mintmark.test/github/{sub}',
      }),
      revocationAt(testNowMillis, {
        kind: 'issuer',
        target: 'TrustDomain/prod.test',
        subjects: 'spiffe://prod.test',
      }),
    );
    const isCovered = (id: string) =>
      set.covers(factsAt(testNowSeconds, { subject: id, clientId: id })) !== undefined;
    expect(isCovered('spiffe://mintmark.test/github/app')).toBe(true);
    for (const id of [
      'spiffe://mintmark.test/github/app/deeper',
      'spiffe://mintmark.test/githubx/app',
      'spiffe://mintmark.test.evil/github/app',
      'spiffe://prod.test.evil/orders',
    ]) {
      expect(isCovered(id), id).toBe(false);
    }
  });

  it('covers all that was issued before it and nothing that was issued after it', () => {
    const millis = fc.integer({ min: -100_000_000, max: 100_000_000 }).map((shift) => testNowMillis + shift);
    fc.assert(
      fc.property(
        fc.constantFrom(...revocations.slice(2)),
        millis,
        millis,
        (entry, revokedAt, issuedAtMillis) => {
          const [, changed, facts] = entry;
          const revocation = revocationAt(revokedAt, changed);
          const covered =
            setOf(revocation).covers(factsAt(Math.floor(issuedAtMillis / 1000), facts)) !== undefined;
          if (issuedAtMillis <= revokedAt) return covered;
          // Within its own second nothing new is issued, so that only what came from the second on is after it.
          return issuedAtMillis < momentAfter(revokedAt) ? covered : !covered;
        },
      ),
    );
  });

  it('refuses new tokens exactly while tokens issued now would be covered', () => {
    const shift = fc.integer({ min: -10_000_000, max: 10_000_000 });
    fc.assert(
      fc.property(shift, fc.option(shift, { nil: undefined }), (now, until) => {
        const notUntil = until === undefined ? undefined : testNowMillis + until;
        const nowMillis = testNowMillis + now;
        const set = setOf(revocationAt(testNowMillis, { target: orders }, notUntil));
        const isRefused = set.refusesNew(svid, nowMillis) !== undefined;
        expect(isRefused).toBe(set.covers(factsAt(Math.floor(nowMillis / 1000))) !== undefined);
        expect(isRefused).toBe(nowMillis < momentAfter(testNowMillis, notUntil));
      }),
    );
  });

  it('never uncovers what a former one of the same target covered', () => {
    const shift = fc.integer({ min: 0, max: 10_000_000 });
    fc.assert(
      fc.property(shift, shift, shift, (later, notUntil, age) => {
        const first = revocationAt(testNowMillis, {}, testNowMillis + notUntil);
        const set = setOf(first, revocationAt(testNowMillis + later));
        return set.covers(factsAt(testNowSeconds - age)) === 'identity';
      }),
    );
  });

  it.each([
    [
      'an SVID by its trust domain',
      svid,
      { target: 'TrustDomain/prod.test', subjects: 'spiffe://prod.test' },
    ],
    [
      'a platform token by its Issuer',
      pipeline,
      { target: 'Issuer/github', subjects: 'spiffe://mintmark.test/github/{sub}' },
    ],
  ] as const)('of an issuer keeps new tokens from %s until its moment', (_name, identity, changed) => {
    const set = setOf(revocationAt(testNowMillis, { kind: 'issuer', ...changed }, testNowMillis + 60_000));
    expect(set.refusesNew(identity, testNowMillis + 59_999)).toBe('issuer');
    expect(set.refusesNew(identity, testNowMillis + 60_000)).toBeUndefined();
    expect(set.refusesNew(identity === svid ? pipeline : svid, testNowMillis)).toBeUndefined();
  });

  it('is forgotten when no token of its can be alive, and not before', () => {
    const entries: readonly Revocation[] = revocations.map(([, changed], index) => ({
      id: index,
      ...revocationAt(testNowMillis, changed),
    }));
    const set = setOf(...entries);
    const end = lastsUntil(momentAfter(testNowMillis));
    set.dropExpired(end - 1);
    expect(set.size).toBe(entries.length);
    set.dropExpired(end);
    expect(set.size).toBe(0);
  });

  it("of an identity stands for those of the identity's own tokens", () => {
    const token = { kind: 'token', owner: orders } as const;
    const set = setOf(
      revocationAt(testNowMillis, { ...token, target: 'one' }),
      revocationAt(testNowMillis, { ...token, target: 'of another', owner: 'spiffe://prod.test/gate' }),
      revocationAt(testNowMillis + 1),
    );
    expect(set.size).toBe(2);
    expect(set.covers(factsAt(testNowSeconds, { jti: 'one' }))).toBe('identity');
    expect(set.covers(factsAt(testNowSeconds + 9, { jti: 'of another' }))).toBe('token');
  });
});
