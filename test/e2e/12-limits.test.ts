/** Story 12: what the server tells a connection that asks too much, over real sockets. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answerToEnd, openSocket, readOneAnswer } from '../support/raw-http.ts';
import { type RunningServer, startServer } from '../support/server.ts';

let server: RunningServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.remove());

const get = (headers: string) =>
  readOneAnswer(server.url, `GET /healthz HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);

describe('limits', () => {
  it('takes 20 KiB of headers and refuses 30 KiB', async () => {
    expect((await get(`X-Padding: ${'x'.repeat(20 * 1024)}\r\n`)).status).toBe(200);
    const refused = await get(`X-Padding: ${'x'.repeat(30 * 1024)}\r\n`);
    expect(refused.status).toBe(431);
    expect(JSON.parse(refused.body)).toEqual({
      error: 'invalid_request',
      error_description: 'The request headers are too large.',
    });
  });

  it('refuses what is not HTTP', async () => {
    const refused = await readOneAnswer(server.url, 'HELLO\r\n\r\n');
    expect(refused.status).toBe(400);
    expect(JSON.parse(refused.body).error_description).toBe('The request is not valid HTTP.');
  });

  it('refuses a body whose declared size is beyond 64 KiB before it arrives', async () => {
    const refused = await readOneAnswer(
      server.url,
      'POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 70000\r\n\r\n',
    );
    expect(refused.status).toBe(413);
    expect(JSON.parse(refused.body)).toMatchObject({ error: 'invalid_request' });
  });

  it.each([
    ['headers', 'POST /oauth/token HTTP/1.1\r\nHost: x\r\nX-Slow: '],
    [
      'a body',
      'POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant_type=',
    ],
  ])('gives up on %s that do not arrive in ten seconds', async (_name, start) => {
    const socket = await openSocket(server.url);
    const began = performance.now();
    socket.write(start);
    const answer = await answerToEnd(socket, 20_000);
    expect(answer.status).toBe(408);
    expect(performance.now() - began).toBeGreaterThan(9_000);
    expect(performance.now() - began).toBeLessThan(15_000);
  });
});
