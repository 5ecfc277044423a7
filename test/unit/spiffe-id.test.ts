import { describe, expect, it } from 'vitest';
import { parseSpiffeId } from '../../src/core/spiffe-id.ts';
describe('parseSpiffeId', () => {
  it('accepts a workload id', () => expect(parseSpiffeId('spiffe://a.example/b')).toBe('spiffe://a.example/b'));
});
