/** `/forward-auth` over real sockets: paths and headers that two readers could take for two things, and bodies that nobody reads. */

import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bearer, type Guard, nobody, openGuard } from '../../http/forward-auth/guard.ts';
import { answerToEnd, openSocket, type RawAnswer, readOneAnswer, readToEnd } from '../../support/raw-http.ts';

let guard: Guard;
let url: string;
let token: string;
beforeAll(async () => {
  guard = await openGuard();
  token = await guard.token('read a+b items:read');
  url = await guard.house.app.listen({ port: 0, host: '127.0.0.1' });
});
afterAll(() => guard.house.close());

const head = (target: string, lines: readonly string[] = [], method = 'GET') =>
  [`${method} ${target} HTTP/1.1`, 'Host: x', ...lines, '', ''].join('\r\n');
const withToken = () => `Authorization: Bearer ${token}`;
const ask = (target: string, lines: readonly string[] = [withToken()], method = 'GET') =>
  readToEnd(url, head(target, [...lines, 'Connection: close'], method));
const passportOf = ({ headers }: RawAnswer) =>
  Object.fromEntries(Object.keys(nobody).map((name) => [name, headers.get(name)]));

describe('the path', () => {
  it.each([
    '/forward-auth/shop/read',
    '/forward-auth/shop/read//../..//alpha',
    '/forward-auth/shop/read/%2e%2e/%2e%2e/alpha',
    '/forward-auth/shop/read/%zz/%00',
    `/forward-auth/shop/read/${'a'.repeat(20_000)}`,
    '/forward-auth/shop/read?%zz',
  ])('passes whatever follows the scopes: %.60s', async (target) => {
    const answer = await ask(target);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-auth-audience')).toBe('https://shop.test/api');
  });

  it.each([
    '/forward-auth',
    '/forward-auth?shop/read',
    '/forward-auth/',
    '/forward-auth//shop/read',
    '/forward-auth/./shop/read',
    '/forward-auth/../forward-auth/shop/read',
    '/forward-auth/%2e%2e/shop',
    '/forward-auth/..%2fshop',
    '/forward-auth/shop%2fread',
    '/forward-auth/shop%00',
    '/forward-auth/shop;a=b/read',
    '/forward-auth/shop/read;a=b',
    '/forward-auth/shop/;/read',
    '/forward-auth/shop\\read',
    '/forward-auth/%zz',
    '/%66orward-auth/shop/read',
    '/forward%2dauth/shop/read',
    'http://sts.test/forward-auth/shop/read',
    'https://shop.test/forward-auth/shop/read',
    `/forward-auth/${'s'.repeat(20_000)}`,
    `/forward-auth/shop/${'%2F'.repeat(6_000)}`,
  ])('is refused where it is not what a proxy is configured with: %.60s', async (target) => {
    const answer = await ask(target);
    expect({ status: answer.status, passport: passportOf(answer) }).toEqual({
      status: 403,
      passport: nobody,
    });
  });

  it.each(['/forward-auth/alpha/../shop/read', '/forward-auth/alpha/%2e%2e/shop/read'])(
    'is of the first resource that it names, whatever dots follow: %s',
    async (target) => {
      expect(await ask(target)).toMatchObject({ status: 401 });
      const alphas = await guard.token('alpha', 'alpha');
      expect(await ask(target, [`Authorization: Bearer ${alphas}`])).toMatchObject({ status: 403 });
    },
  );

  it.each(['/Forward-Auth/shop', '/forward-authx/shop', '//forward-auth/shop/read'])(
    'is no place of ours: %s',
    async (target) => {
      const answer = await ask(target);
      expect(answer.status).toBe(404);
      expect(passportOf(answer)).toEqual(
        Object.fromEntries(Object.keys(nobody).map((name) => [name, undefined])),
      );
    },
  );
});

describe('headers', () => {
  it('never get a line of their own out of the path', async () => {
    for (const target of [
      '/forward-auth/shop/read%0d%0aX-SPIFFE-Id:%20spiffe:%2f%2fevil.test%2fx',
      '/forward-auth/shop%0d%0aX-SPIFFE-Id:x/read',
      '/forward-auth/shop/read%22,%20error=%22x',
    ]) {
      const answer = await ask(target, []);
      expect(answer.status).toBe(403);
      expect(passportOf(answer)).toEqual(nobody);
      expect([...answer.headers.values()].join()).not.toMatch(/evil|error/);
    }
  });

  it.each([
    'Authorization: Bearer a.b.c',
    'authorization: Basic YTpi',
    'Host: y',
    'Content-Type: a\r\ncontent-type: b',
  ])('are refused where one came twice: %j', async (line) => {
    for (const lines of [
      [withToken(), ...line.split('\r\n')],
      [...line.split('\r\n'), withToken()],
    ]) {
      const answer = await ask('/forward-auth/shop/read', lines);
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toContain('error="invalid_request"');
      expect(passportOf(answer)).toEqual(nobody);
    }
  });

  it('of a proxy that nobody trusts change nothing', async () => {
    const forwarded = [
      'X-Forwarded-Method: DELETE',
      'X-Forwarded-Uri: /forward-auth/alpha',
      'X-Original-URL: https://shop.test/forward-auth/alpha',
      'X-HTTP-Method-Override: DELETE',
      'X-Rewrite-URL: /forward-auth/alpha',
      'Forwarded: for=127.0.0.1;proto=https',
    ];
    const answer = await ask('/forward-auth/shop/read', [withToken(), ...forwarded]);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-auth-audience')).toBe('https://shop.test/api');
    expect((await ask('/forward-auth/shop/read', forwarded)).status).toBe(401);
  });

  it('that are too large are no request, and the connection ends', async () => {
    const answer = await ask('/forward-auth/shop/read', [withToken(), `Cookie: ${'a'.repeat(30_000)}`]);
    expect(answer).toMatchObject({ status: 431, isEnded: true });
    expect(answer.headers.has('x-spiffe-id')).toBe(false);
  });

  it('up to 20 KB of other people’s are', async () => {
    expect(
      (await ask('/forward-auth/shop/read', [withToken(), `Cookie: ${'a'.repeat(20_000)}`])).status,
    ).toBe(200);
  });
});

describe('a method', () => {
  it.each(['HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'PURGE', 'QUERY', 'M-SEARCH'])(
    'of any kind is answered: %s',
    async (method) => {
      expect((await ask('/forward-auth/shop/read', [withToken()], method)).status).toBe(200);
      const refused = await ask('/forward-auth/shop/read', ['X-SPIFFE-Id: evil'], method);
      expect({ status: refused.status, passport: passportOf(refused) }).toEqual({
        status: 401,
        passport: nobody,
      });
      expect(refused.body).not.toContain('evil'); // TRACE echoes nothing
      expect(refused.body === '').toBe(method === 'HEAD');
    },
  );

  it('that HTTP does not know is no request', async () => {
    expect((await ask('/forward-auth/shop/read', [withToken()], 'EVIL')).status).toBe(400);
  });

  it('CONNECT opens no tunnel', async () => {
    const socket = await openSocket(url);
    socket.write(head('/forward-auth/shop/read', [withToken()], 'CONNECT'));
    const [gone] = await Promise.race([once(socket, 'close'), once(socket, 'data')]);
    expect(Buffer.isBuffer(gone)).toBe(false);
  });
});

describe('a body', () => {
  it.each([
    ['of JSON that is none', ['Content-Type: application/json', 'Content-Length: 2'], '{"'],
    ['of no known type', ['Content-Type: evil/evil', 'Content-Length: 3'], 'abc'],
    ['of no legal type', ['Content-Type: ;;;', 'Content-Length: 3'], 'abc'],
    ['in an unknown encoding', ['Content-Encoding: evil', 'Content-Length: 3'], 'abc'],
    ['in chunks', ['Transfer-Encoding: chunked'], '3\r\nabc\r\n0\r\n\r\n'],
    ['that is longer than any other of ours', ['Content-Length: 200000'], 'x'.repeat(200_000)],
  ])(
    'is never looked at, and the next request on the connection is its own: %s',
    async (_what, lines, body) => {
      for (const [credential, status] of [
        [[withToken()], 200],
        [[], 401],
      ] as const) {
        const first = head('/forward-auth/shop/read', [...credential, ...lines], 'POST');
        const second = head('/forward-auth/alpha', ['Connection: close']);
        const socket = await openSocket(url);
        const answers = answerToEnd(socket);
        socket.write(`${first}${body}${second}`);
        const both = await answers;
        expect(both.status).toBe(status);
        expect(both.body.match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 401']);
        expect(both.isEnded).toBe(true);
      }
    },
  );

  it('that never comes does not keep the answer', async () => {
    const promised = ['Content-Length: 1000000000', 'Content-Type: application/octet-stream'];
    for (const lines of [promised, ['Transfer-Encoding: chunked']]) {
      const answer = await readOneAnswer(url, head('/forward-auth/shop/read', lines, 'PUT'), 3_000);
      expect(answer.status).toBe(401);
    }
  });

  it('that never ends ends with its connection', async () => {
    const { hostname, port } = new URL(url);
    const call = httpRequest({
      hostname,
      port,
      method: 'POST',
      path: '/forward-auth/shop/read',
      headers: { ...bearer(token), 'transfer-encoding': 'chunked' },
    });
    call.on('error', () => {});
    const closed = once(call, 'close');
    const drip = setInterval(() => call.write('x'), 200);
    const [response] = await once(call, 'response');
    expect(response.statusCode).toBe(200);
    response.resume();
    await closed;
    clearInterval(drip);
  }, 20_000);

  it('of two lengths is no request', async () => {
    const lines = [withToken(), 'Content-Length: 3', 'Transfer-Encoding: chunked'];
    const answer = await readToEnd(url, `${head('/forward-auth/shop/read', lines, 'POST')}0\r\n\r\n`);
    expect(answer).toMatchObject({ status: 400, isEnded: true });
  });
});
