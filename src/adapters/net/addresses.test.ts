import { describe, expect, it } from 'vitest';
import { isLoopbackAddress, reachOf } from './addresses.ts';

describe('reachOf', () => {
  it.each([['1.1.1.1'], ['8.8.8.8'], ['172.15.0.1'], ['172.32.0.1'], ['100.128.0.1'], ['2606:4700::1111']])(
    '%s is public',
    (address) => expect(reachOf(address)).toBe('public'),
  );

  it.each([
    ['10.0.0.1'],
    ['172.16.0.1'],
    ['192.168.1.1'],
    ['100.64.0.1'],
    ['127.0.0.1'],
    ['127.255.255.255'],
    ['::1'],
    ['fd00::1'],
    ['fc00::1'],
  ])('%s is private', (address) => expect(reachOf(address)).toBe('private'));

  it.each([
    ['0.0.0.0'],
    ['0.1.2.3'],
    ['169.254.169.254'],
    ['100.100.100.200'],
    ['168.63.129.16'],
    ['192.0.2.1'],
    ['224.0.0.1'],
    ['240.0.0.1'],
    ['255.255.255.255'],
    ['::'],
    ['::ffff:10.0.0.1'],
    ['::ffff:1.1.1.1'],
    ['::ffff:a9fe:a9fe'],
    ['0:0:0:0:0:ffff:a9fe:a9fe'],
    ['::127.0.0.1'],
    ['64:ff9b::a9fe:a9fe'],
    ['2002:a9fe:a9fe::'],
    ['2001:0:1::1'],
    ['2001:db8::1'],
    ['fe80::1'],
    ['fe80::1%eth0'],
    ['fec0::1'],
    ['ff02::1'],
    ['fd00:ec2::254'],
    ['localhost'],
    ['0x7f000001'],
    [''],
  ])('%s is never reached', (address) => expect(reachOf(address)).toBe('never'));

  it('knows loopback', () => {
    expect(['127.0.0.1', '127.9.9.9', '::1'].map(isLoopbackAddress)).toEqual([true, true, true]);
    expect(['10.0.0.1', '::', '::2', 'localhost'].map(isLoopbackAddress)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });
});
