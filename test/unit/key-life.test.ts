/** The life of a key as a plan: published before it signs, and for as long as its tokens live. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TokenAlgorithm } from '../../src/core/algorithm.ts';
import { jwksMaxAgeSeconds } from '../../src/core/discovery.ts';
import { type KeyLife, keyLifeProblems, longestTokenSeconds } from '../../src/core/key-life.ts';
import {
  bringForward,
  planKeys,
  signingKey,
  withoutRevoked,
  withStates,
  withTimes,
} from '../../src/core/key-plan.ts';
import type { StoredKey } from '../../src/core/ports.ts';
import { testKeyLife } from '../support/key-life.ts';

const start = Date.UTC(2026, 0, 1);
let made = 0;

/** One step of a replica: the plan, with the keys made that it misses. */
function step(
  keys: readonly StoredKey[],
  nowMillis: number,
  life: KeyLife = testKeyLife,
  wanted: readonly TokenAlgorithm[] = ['ES256'],
) {
  const plan = planKeys(keys, wanted, nowMillis, life);
  const added = plan.missing.map(({ algorithm, activatesAt }): StoredKey => {
    const kid = `key-${made++}`;
    const publicJwk = { kty: 'EC', kid, alg: algorithm, use: 'sig' } as const;
    const wrappedPrivateKey = new Uint8Array();
    return { kid, algorithm, state: 'next', publicJwk, wrappedPrivateKey, createdAt: nowMillis, activatesAt };
  });
  return withStates([...plan.keys, ...added], nowMillis);
}

const states = (keys: readonly StoredKey[]) => keys.map(({ state }) => state);

describe('planKeys', () => {
  test('begins with a key that signs at once and one that follows it', () => {
    const keys = step([], start);
    expect(states(keys)).toEqual(['active', 'next']);
    expect(keys[1]?.activatesAt).toBe(start + testKeyLife.rotationSeconds * 1000);
    expect(step(keys, start + 1)).toEqual(keys);
  });

  test('a key of the former version gets a successor that is published first', () => {
    const [old] = step([], start);
    if (old === undefined) throw new Error('no key');
    const nowMillis = start + 400 * 86_400_000;
    const keys = step([old], nowMillis);
    expect(states(keys)).toEqual(['active', 'next']);
    expect(keys[1]?.activatesAt).toBe(nowMillis + testKeyLife.prepublishSeconds * 1000);
  });

  test('however often replicas look: published before signing, kept for its tokens, one key signs', () => {
    const pauses = fc.array(fc.integer({ min: 1, max: 20 * 86_400 }), { minLength: 5, maxLength: 60 });
    fc.assert(
      fc.property(pauses, (seconds) => {
        let nowMillis = start;
        let keys = step([], nowMillis);
        const first = keys[0]?.kid;
        const seenAt = new Map(keys.map(({ kid }) => [kid, nowMillis]));
        const signedAt = new Map<string, number>();
        for (const pause of seconds) {
          // What is known signs up to the next look.
          nowMillis += pause * 1000;
          const before = signingKey(keys, 'ES256', nowMillis);
          if (before) signedAt.set(before.kid, nowMillis);
          keys = step(keys, nowMillis);
          expect(keys.filter(({ state }) => state === 'active')).toHaveLength(1);
          for (const { kid } of keys) if (!seenAt.has(kid)) seenAt.set(kid, nowMillis);
          const signing = signingKey(keys, 'ES256', nowMillis);
          const published = nowMillis - (seenAt.get(signing?.kid ?? '') ?? nowMillis);
          if (signing?.kid !== first) expect(published).toBeGreaterThanOrEqual(jwksMaxAgeSeconds * 1000);
          for (const [kid, at] of signedAt) {
            const isAlive = at + longestTokenSeconds * 1000 > nowMillis;
            if (isAlive) expect(keys.map((key) => key.kid)).toContain(kid);
          }
        }
      }),
    );
  });
});

test('an algorithm that no resource uses any more gets no next key, and leaves when its last tokens are gone', () => {
  const { rotationSeconds, retentionSeconds } = testKeyLife;
  const both = step([], start, testKeyLife, ['ES256', 'RS256']);
  const ofRsa = (keys: readonly StoredKey[]) => keys.filter(({ algorithm }) => algorithm === 'RS256');
  const at = (keys: readonly StoredKey[], seconds: number) => step(keys, start + seconds * 1000);
  const soon = at(both, 1);
  expect(states(ofRsa(soon))).toEqual(['active', 'next']); // replicas that know the old policy still sign
  const turned = at(soon, rotationSeconds);
  expect(states(ofRsa(turned))).toEqual(['retiring', 'active']);
  const late = at(turned, rotationSeconds + retentionSeconds - 1);
  expect(ofRsa(late)).toHaveLength(2);
  expect(ofRsa(at(late, rotationSeconds + retentionSeconds))).toEqual([]);
  // Wanted again in between, it goes on; the other algorithm was never touched.
  const again = step(late, start + (rotationSeconds + retentionSeconds) * 1000, testKeyLife, [
    'ES256',
    'RS256',
  ]);
  expect(states(ofRsa(again))).toEqual(['active', 'next']);
  expect(states(late.filter(({ algorithm }) => algorithm === 'ES256'))).toEqual([
    'retiring',
    'active',
    'next',
  ]);
});

test('a planned rotation respects the time of publication, an emergency does not', () => {
  const keys = step([], start);
  const nowMillis = start + 1000;
  const planned = bringForward(keys, false, nowMillis, testKeyLife);
  expect(planned[1]?.activatesAt).toBe(start + testKeyLife.prepublishSeconds * 1000);
  expect(bringForward(planned, false, nowMillis, testKeyLife)).toEqual(planned);
  const urgent = bringForward(keys, true, nowMillis, testKeyLife);
  expect(urgent[1]?.activatesAt).toBe(nowMillis);
  expect(urgent[0]).toEqual(keys[0]);
});

test('after a revocation the next key signs, never an older one', () => {
  const nowMillis = start + 1000;
  const keys = step(bringForward(step([], start), true, nowMillis, testKeyLife), nowMillis);
  expect(states(keys)).toEqual(['retiring', 'active', 'next']);
  const [old, active, next] = keys.map(({ kid }) => kid);
  const { keys: revoked, missing } = withoutRevoked(keys, active ?? '', nowMillis);
  expect(missing).toEqual([]);
  expect(signingKey(revoked, 'ES256', nowMillis)?.kid).toBe(next);
  expect(states(step(revoked, nowMillis))).toEqual(['retiring', 'active', 'next']);
  expect(withoutRevoked(keys, old ?? '', nowMillis)).toEqual({ keys: keys.slice(1), missing: [] });
  expect(withoutRevoked(keys, 'unknown', nowMillis)).toEqual({ keys, missing: [] });
});

test('a revoked key without a next one asks for a new key that signs at once, where an older one might', () => {
  const nowMillis = start + 1000;
  const keys = step(bringForward(step([], start), true, nowMillis, testKeyLife), nowMillis);
  const [old, active] = keys;
  if (old === undefined || active === undefined) throw new Error('no keys');
  expect(withoutRevoked([old, active], active.kid, nowMillis)).toEqual({
    keys: [old],
    missing: [{ algorithm: 'ES256', activatesAt: nowMillis }],
  });
  // The plan makes the first keys of an algorithm anyway, where it is wanted.
  expect(withoutRevoked([active], active.kid, nowMillis)).toEqual({ keys: [], missing: [] });
});

test('a key retires when the next one begins, and leaves when its tokens are gone', () => {
  const nowMillis = start + 1000;
  const keys = step(bringForward(step([], start), true, nowMillis, testKeyLife), nowMillis);
  const lastAt = keys[2]?.activatesAt ?? 0;
  expect(withTimes(keys, testKeyLife).map(({ retiresAt, leavesAt }) => [retiresAt, leavesAt])).toEqual([
    [nowMillis, nowMillis + testKeyLife.retentionSeconds * 1000],
    [lastAt, lastAt + testKeyLife.retentionSeconds * 1000],
    [undefined, undefined],
  ]);
});

test('refuses settings under which a token would not verify', () => {
  expect(keyLifeProblems(testKeyLife)).toEqual([]);
  expect(keyLifeProblems({ rotationSeconds: 360, prepublishSeconds: 360, retentionSeconds: 86_460 })).toEqual(
    [],
  );
  expect(keyLifeProblems({ rotationSeconds: 358, prepublishSeconds: 359, retentionSeconds: 86_459 })).toEqual(
    [
      expect.stringContaining('MINTMARK_KEY_PREPUBLISH: must be at least 360s'),
      expect.stringContaining('MINTMARK_KEY_RETENTION: must be at least 86460s'),
      'MINTMARK_KEY_ROTATION: must not be shorter than MINTMARK_KEY_PREPUBLISH',
    ],
  );
});
