import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { openCallPlatform } from './call-platform.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function serve(answer: (respond: (body: string) => void) => void): Promise<string> {
  const server = createServer((_request, response) => answer((body) => response.end(body)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const get = (url: string, allowPrivateHosts: readonly string[] = ['127.0.0.1']) =>
  ({ method: 'GET', url, headers: {}, allowPrivateHosts }) as const;

describe('a call to a platform', () => {
  it('reaches a private address only where a document names the host', async () => {
    const url = await serve((respond) => respond('ok'));
    const call = openCallPlatform();
    await expect(call(get(url))).resolves.toEqual({ status: 200, body: 'ok' });
    await expect(call(get(url, []))).rejects.toThrow(/private/);
  });

  it.each(['169.254.169.254', '0.0.0.0', '::ffff:127.0.0.1'])('never reaches %s', async (address) => {
    const call = openCallPlatform({
      resolve: async () => [{ address, family: address.includes(':') ? 6 : 4 }],
    });
    await expect(call(get('https://api.example/', ['api.example']))).rejects.toThrow(/refused/);
  });

  it('needs https off loopback, and no user name', async () => {
    const call = openCallPlatform();
    await expect(call(get('http://api.example/'))).rejects.toThrow(/https is required/);
    await expect(call(get('https://me@api.example/'))).rejects.toThrow(/user information/);
  });

  it('gives up in time, and leaves headers out of the error', async () => {
    const url = await serve(() => undefined);
    const call = openCallPlatform({ totalTimeoutMillis: 100 });
    const slow = call({ ...get(url), headers: { authorization: 'Bearer canary' } });
    await expect(slow).rejects.toThrow(/GET to 127\.0\.0\.1/);
    await expect(slow).rejects.not.toThrow(/canary/);
  });

  it('refuses one more than may be under way, until one ends', async () => {
    const waiting: ((body: string) => void)[] = [];
    const arrived = Promise.withResolvers<void>();
    const url = await serve((respond) => {
      waiting.push(respond);
      arrived.resolve();
    });
    const call = openCallPlatform({ maxConcurrentCalls: 1 });
    const first = call(get(url));
    await arrived.promise;
    await expect(call(get(url))).rejects.toThrow(/under way/);
    waiting[0]?.('done');
    await expect(first).resolves.toMatchObject({ body: 'done' });
    const next = call(get(url));
    await expect.poll(() => waiting.length).toBe(2);
    waiting[1]?.('again');
    await expect(next).resolves.toMatchObject({ body: 'again' });
  });
});
