/** Wrapped private keys: they open with the same key in the same place, and with nothing else. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Secret } from '../../core/secret.ts';
import { unwrap, wrap } from './wrap.ts';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const kek = new Secret<Uint8Array>(randomBytes(32));
const context = { kid: 'kid', algorithm: 'ES256' };
const wrapped = wrap(privateKey, kek, context);

test('opens in its own place, with its own key', () => {
  expect(unwrap(wrapped, kek, context).equals(privateKey)).toBe(true);
});

test('never wraps to the same bytes twice', () => {
  expect(Buffer.from(wrap(privateKey, kek, context)).equals(wrapped)).toBe(false);
});

test('refuses another key, kid or algorithm', () => {
  const refusal = 'signing key kid does not decrypt';
  expect(() => unwrap(wrapped, new Secret<Uint8Array>(randomBytes(32)), context)).toThrow(refusal);
  expect(() => unwrap(wrapped, kek, { ...context, algorithm: 'ES384' })).toThrow(refusal);
  expect(() => unwrap(wrapped, kek, { ...context, kid: 'other' })).toThrow(
    'signing key other does not decrypt',
  );
});

test('refuses any altered byte, and any shorter text', () => {
  fc.assert(
    fc.property(fc.nat(wrapped.length - 1), fc.integer({ min: 1, max: 255 }), (index, difference) => {
      const altered = Uint8Array.from(wrapped);
      altered[index] = (altered[index] ?? 0) ^ difference;
      expect(() => unwrap(altered, kek, context)).toThrow('signing key kid');
      expect(() => unwrap(wrapped.subarray(0, index), kek, context)).toThrow('signing key kid');
    }),
  );
});
