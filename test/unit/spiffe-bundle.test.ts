/** The refresh hint of our bundle, against the life of the keys in it (SPIFFE Federation §4.1). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type KeyLife, keyLifeProblems } from '../../src/core/key-life.ts';
import { refreshHintSeconds, spiffeBundle } from '../../src/core/spiffe-bundle.ts';
import { testKeyLife } from '../support/key-life.ts';

describe('the refresh hint', () => {
  it('lets a consumer read a key three to five times before it signs, whatever life is configured', () => {
    const life = fc.record({
      prepublishSeconds: fc.integer({ min: 0, max: 90 * 86_400 }),
      rotationSeconds: fc.constant(90 * 86_400),
      retentionSeconds: fc.constant(2 * 86_400),
    });
    let accepted = 0;
    const holds = (configured: KeyLife) => {
      if (keyLifeProblems(configured).length > 0) return;
      accepted++;
      const hint = refreshHintSeconds(configured);
      expect(Number.isInteger(hint)).toBe(true);
      expect(hint).toBeGreaterThanOrEqual(60);
      expect(configured.prepublishSeconds).toBeGreaterThanOrEqual(5 * hint);
    };
    fc.assert(fc.property(life, holds));
    expect(accepted).toBeGreaterThan(10);
    holds({ ...testKeyLife, prepublishSeconds: 360 });
    expect(refreshHintSeconds({ ...testKeyLife, prepublishSeconds: 360 })).toBe(72);
    expect(refreshHintSeconds(testKeyLife)).toBe(300);
  });
});

describe('the sequence', () => {
  it('is the higher of when the keys and when the roots changed', () => {
    const ring = { publicKeys: () => [], list: () => [] };
    expect(spiffeBundle(ring, 300)).toEqual({ keys: [], spiffe_sequence: 0, spiffe_refresh_hint: 300 });
    expect(spiffeBundle(ring, 300, { keys: [], changedAt: 7 }).spiffe_sequence).toBe(7);
  });
});
