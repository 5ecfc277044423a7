import { beforeAll, describe, expect, it } from 'vitest';
import { readTrustBundle } from '../../../src/credentials/trust-bundle.ts';
import { bundleOf, makeKey, type TestKey } from '../../support/tokens.ts';

let key: TestKey;

beforeAll(async () => {
  key = await makeKey('svid');
});

describe('readTrustBundle', () => {
  it('reads keys, sequence and refresh hint', () => {
    const text = JSON.stringify({ ...bundleOf(key), spiffe_sequence: 7, spiffe_refresh_hint: 60 });
    const bundle = readTrustBundle(text);
    expect(bundle.keys.keys.map(({ kid }) => kid)).toEqual(['svid']);
    expect(bundle).toMatchObject({ sequence: 7n, refreshHintSeconds: 60 });
  });

  it('keeps a sequence exact beyond 2^53', () => {
    const text = '{"keys":[],"spiffe_sequence":18446744073709551615}';
    expect(readTrustBundle(text).sequence).toBe(18446744073709551615n);
  });

  it('reads the outermost sequence, wherever another of that name stands', () => {
    const text = '{"a":{"spiffe_sequence":1},"spiffe_sequence":5,"keys":[],"z":[{"spiffe_sequence":9}]}';
    expect(readTrustBundle(text).sequence).toBe(5n);
    expect(readTrustBundle('{"a":{"spiffe_sequence":1},"keys":[]}').sequence).toBeUndefined();
  });

  it.each([['"7"'], ['-1'], ['1.5'], ['1e3'], ['null'], ['[]']])('refuses %s as a sequence', (sequence) => {
    expect(() => readTrustBundle(`{"keys":[],"spiffe_sequence":${sequence}}`)).toThrow('not a whole number');
  });

  it('takes an empty list for a bundle that trusts nobody, and no list for no bundle', () => {
    expect(readTrustBundle('{"keys":[]}').keys.keys).toEqual([]);
    expect(() => readTrustBundle('{"spiffe_sequence":1}')).toThrow('not a JSON Web Key Set');
  });

  it('refuses a bundle that names a member twice', () => {
    expect(() => readTrustBundle('{"keys":[],"keys":[]}')).toThrow('twice');
  });
});
