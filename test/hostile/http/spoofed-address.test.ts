/** Callers who would be somebody else, or nobody, to the cap on refusals and to the audit. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openHouse, type TestHouse } from '../../support/house.ts';
import { openSocket } from '../../support/raw-http.ts';
import { testNowMillis } from '../../support/tokens.ts';

const capPerMinute = 120;
let house: TestHouse;
let nowMillis = testNowMillis;
beforeAll(async () => {
  house = await openHouse([], { MINTMARK_TRUSTED_PROXIES: '192.0.2.1' });
});
afterAll(() => house.close());

const isRefused = async (remoteAddress: string, headers: Record<string, string> = {}) => {
  const response = await house.app.inject({
    method: 'POST',
    url: '/api/v1/token',
    remoteAddress,
    headers: { authorization: 'Bearer not.a.token', ...headers },
  });
  return response.statusCode;
};
/** Where a request comes from, and its headers. */
type Origin = readonly [remoteAddress: string, headers?: Record<string, string>];
const addressOf = async (remoteAddress: string, headers: Record<string, string>) => {
  const response = await house.app.inject({
    method: 'POST',
    url: '/api/v1/token',
    remoteAddress,
    headers,
  });
  return (await house.eventOf(response.json().request_id)).remote_address;
};

describe('the cap on refusals', () => {
  /** Refusals from as many addresses as `addressAt` gives: how many were recorded, how many capped. */
  const flood = async (addressAt: (index: number) => Origin) => {
    nowMillis += 3_600_000;
    house.clock.set(nowMillis); // a window of its own
    const statuses = await Promise.all(
      Array.from({ length: capPerMinute + 10 }, (_, index) => isRefused(...addressAt(index))),
    );
    return statuses.filter((status) => status === 429).length;
  };

  it('lets many networks make their own refusals', async () => {
    expect(await flood((index) => [`198.51.100.${index}`])).toBe(0);
    expect(await flood((index) => [`2001:db8:${index}::1`])).toBe(0);
  });

  it.each<[name: string, addressAt: (index: number) => Origin]>([
    ['one address', () => ['198.51.100.7']],
    ['the 2^64 addresses of one IPv6 network', (index: number) => [`2001:db8:0:7::${index.toString(16)}`]],
    ['an IPv6 network written in several ways', (index: number) => [`2001:0DB8::${index + 1}:0:0:1`]],
    [
      'an IPv4 address that is written as IPv6',
      (index: number) => [index % 2 ? '198.51.100.9' : '::ffff:198.51.100.9'],
    ],
    [
      'a forged X-Forwarded-For',
      (index: number) => ['198.51.100.8', { 'x-forwarded-for': `203.0.113.${index}` }],
    ],
    [
      'one before a trusted hop',
      (index: number) => ['192.0.2.1', { 'x-forwarded-for': `203.0.113.${index}, 198.51.100.8` }],
    ],
    [
      'words in the place of addresses',
      (index: number) => ['192.0.2.1', { 'x-forwarded-for': `liar-${index}` }],
    ],
    [
      'ports beside one address',
      (index: number) => ['192.0.2.1', { 'x-forwarded-for': `198.51.100.6:${1024 + index}` }],
    ],
  ])('holds against %s', async (_name, addressAt) => {
    expect(await flood(addressAt)).toBe(10);
  });
});

describe('the address in the audit', () => {
  it.each([
    ['198.51.100.1', '203.0.113.5', '198.51.100.1'],
    ['192.0.2.1', '203.0.113.5', '203.0.113.5'],
    ['192.0.2.1', '203.0.113.5:4711', '203.0.113.5'],
    ['192.0.2.1', '[2001:db8::5]:4711', '2001:db8::5'],
    ['192.0.2.1', '2001:db8::5', '2001:db8::5'],
    ['192.0.2.1', 'x'.repeat(9_000), '192.0.2.1'],
    ['192.0.2.1', '\u009b31m', '192.0.2.1'],
  ])('of a request from %s with X-Forwarded-For %.24s is %s', async (remoteAddress, forwarded, expected) => {
    expect(await addressOf(remoteAddress, { 'x-forwarded-for': forwarded })).toBe(expected);
  });

  // The kernel forgets the peer of a connection that was reset; without an address the event could not be read again.
  it('is there for a caller who is gone before anyone looks', async () => {
    const url = await house.app.listen({ port: 0, host: '127.0.0.1' });
    const request = 'POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n';
    const logBefore = house.log().length;
    for (let attempt = 0; attempt < 20; attempt++) {
      const socket = await openSocket(url);
      socket.on('error', () => {});
      socket.write(request);
      socket.resetAndDestroy();
    }
    const refusedIds = () =>
      [
        ...house
          .log()
          .slice(logBefore)
          .matchAll(/"reqId":"([^"]+)"/g),
      ].map(([, id]) => String(id));
    await expect.poll(() => refusedIds().length).toBeGreaterThan(0);
    for (const id of refusedIds()) {
      const event = await house.eventOf(id);
      expect(['127.0.0.1', 'unknown']).toContain(event.remote_address);
    }
  });
});
