import { describe, expect, it } from 'vitest';
import { v7RequestId } from '../../src/core/request-id.ts';

describe('v7RequestId', () => {
  it('is a UUID of version 7 that carries its time', () => {
    const id = v7RequestId(1_645_557_742_000); // the timestamp of RFC 9562, appendix A.6
    expect(id).toMatch(/^017f22e2-79b0-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('sorts by time, and never repeats within one millisecond', () => {
    expect(v7RequestId(1) < v7RequestId(2)).toBe(true);
    expect(new Set(Array.from({ length: 10_000 }, () => v7RequestId(5))).size).toBe(10_000);
  });
});
