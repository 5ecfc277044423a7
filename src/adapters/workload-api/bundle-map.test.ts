/** Our reading of `map<string, bytes>` against hostile bytes; against real messages it is tested over a socket. */
import { expect, it } from 'vitest';
import { readBundleMap } from './bundle-map.ts';

// Field 1 and field 2, each with one entry {"a": "b"}, between fields of other kinds.
const entry = [0x0a, 0x01, 0x61, 0x12, 0x01, 0x62];
const message = Uint8Array.from([
  ...[0x18, 0x96, 0x01], // field 3, a varint of two bytes
  ...[0x21, 1, 2, 3, 4, 5, 6, 7, 8], // field 4, 64 bits
  ...[0x2d, 1, 2, 3, 4], // field 5, 32 bits
  ...[0x0a, entry.length, ...entry],
  ...[0x12, entry.length, ...entry],
]);

it('reads the field that it is asked for and skips all others', () => {
  const expected = new Map([['a', Uint8Array.of(0x62)]]);
  expect(readBundleMap(message, 1)).toEqual(expected);
  expect(readBundleMap(message, 2)).toEqual(expected);
  expect(readBundleMap(message, 6)).toEqual(new Map());
  expect(readBundleMap(new Uint8Array(), 1)).toEqual(new Map());
});

it('of two entries with one name, takes the last', () => {
  const later = [...entry.slice(0, -1), 0x63];
  const twice = Uint8Array.from([0x0a, entry.length, ...entry, 0x0a, later.length, ...later]);
  expect(readBundleMap(twice, 1)).toEqual(new Map([['a', Uint8Array.of(0x63)]]));
});

it('refuses a message that is cut short within a field', () => {
  const whole = message.length;
  const boundaries = new Set([0, 3, 12, 17, 25]);
  for (let length = 0; length < whole; length++) {
    if (boundaries.has(length)) continue;
    expect(() => readBundleMap(message.subarray(0, length), 1), String(length)).toThrow('cut short');
  }
});

it('refuses groups, numbers without end and names that are not UTF-8', () => {
  expect(() => readBundleMap(Uint8Array.of(0x0b), 1)).toThrow('unknown kind');
  expect(() => readBundleMap(new Uint8Array(20).fill(0xff), 1)).toThrow('cut short');
  expect(() => readBundleMap(Uint8Array.of(0x0a, 3, 0x0a, 1, 0xff), 1)).toThrow();
});
