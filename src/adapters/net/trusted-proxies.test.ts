import { describe, expect, it } from 'vitest';
import { proxyMatcher } from './trusted-proxies.ts';

describe('proxyMatcher', () => {
  const isProxy = proxyMatcher(['10.1.0.0/16', '192.0.2.7', '2001:db8::/32', 'fe80::1']);

  it.each(['10.1.255.1', '192.0.2.7', '2001:db8::5', '::ffff:10.1.2.3', 'fe80::1%eth0'])(
    'knows %s',
    (address) => {
      expect(isProxy(address)).toBe(true);
    },
  );

  it.each([
    '10.2.0.1',
    '192.0.2.8',
    '2001:db9::5',
    '::ffff:10.2.2.3',
    '127.0.0.1',
    '',
    'proxy',
    '10.1.0.1, 1.2.3.4',
  ])('does not know "%s"', (address) => {
    expect(isProxy(address)).toBe(false);
  });

  it('knows nobody when there are none', () => {
    expect(proxyMatcher([])('127.0.0.1')).toBe(false);
  });
});
