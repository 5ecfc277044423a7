/** Requests that two readers could take for two different requests, over real sockets: one reading or none. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { tellStory } from '../../http/token/story.ts';
import { openHouse, type TestHouse } from '../../support/house.ts';
import { readToEnd } from '../../support/raw-http.ts';

let story: Awaited<ReturnType<typeof tellStory>>;
let house: TestHouse;
let url: string;
let form: string;
beforeAll(async () => {
  story = await tellStory();
  house = await openHouse(story.documents);
  url = await house.app.listen({ port: 0, host: '127.0.0.1' });
});
beforeEach(async () => {
  form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
    client_assertion: await story.svid(),
    audience: 'alpha',
  }).toString();
});
afterAll(() => house.close());

const formType = 'Content-Type: application/x-www-form-urlencoded';
/** Sends these header lines and this body, and nothing else. */
const post = (lines: readonly string[], body: string, target = '/oauth/token') =>
  readToEnd(
    url,
    `POST ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines.join('\r\n')}\r\n\r\n${body}`,
  );
const chunked = (body: string) => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

describe('POST /oauth/token', () => {
  it('permits a body of a known length, and one in chunks', async () => {
    expect((await post([formType, `Content-Length: ${form.length}`], form)).status).toBe(200);
    expect((await post([formType, 'Transfer-Encoding: chunked'], chunked(form))).status).toBe(200);
  });

  it.each([
    ['two lengths', () => [`Content-Length: ${form.length}`, 'Content-Length: 5'], () => form],
    [
      'a length and chunks',
      () => [`Content-Length: ${form.length}`, 'Transfer-Encoding: chunked'],
      () => chunked(form),
    ],
    ['an unknown coding', () => ['Transfer-Encoding: xchunked'], () => chunked(form)],
    ['a coding after chunked', () => ['Transfer-Encoding: chunked, identity'], () => chunked(form)],
    ['a folded header', () => ['X-Folded: a', ' b', `Content-Length: ${form.length}`], () => form],
    ['a name with a space', () => [`Content-Length : ${form.length}`], () => form],
  ])('is not read with %s, and the connection ends', async (_name, lines, body) => {
    const answer = await post([formType, ...lines()], `${body()}GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(answer.status).toBe(400);
    expect(answer.isEnded).toBe(true);
    expect(answer.body).not.toContain('HTTP/1.1 200');
  });

  it.each([
    ['Content-Type', () => [formType, 'Content-Type: application/json']],
    ['Host', () => [formType, 'Host: elsewhere']],
    ['Authorization', () => [formType, 'Authorization: Bearer one', 'Authorization: Bearer two']],
  ])('is refused and recorded with two of %s', async (_name, lines) => {
    const answer = await post([...lines(), `Content-Length: ${form.length}`], form);
    const body = JSON.parse(answer.body);
    expect([answer.status, body.error]).toEqual([400, 'invalid_request']);
    expect(await house.eventOf(body.request_id)).toMatchObject({ reason: 'request.malformed' });
    expect(house.log()).not.toContain(new URLSearchParams(form).get('client_assertion'));
  });

  it('takes nothing from the host of an absolute target, nor from trailers', async () => {
    const absolute = await post(
      [formType, `Content-Length: ${form.length}`],
      form,
      'http://evil.test/oauth/token',
    );
    expect(absolute.status).toBe(200);
    expect(absolute.body).not.toContain('evil.test');
    const trailed = await post(
      [formType, 'Transfer-Encoding: chunked', 'Trailer: X-Forwarded-For'],
      chunked(form).replace(/\r\n$/, 'X-Forwarded-For: 203.0.113.1\r\n\r\n'),
    );
    expect(trailed.status).toBe(200);
    const event = await house.eventOf(String(trailed.headers.get('x-request-id')));
    expect(event.remote_address).toBe('127.0.0.1');
  });

  it('is no proxy', async () => {
    const tunnel = 'CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    await expect(readToEnd(url, tunnel)).rejects.toThrow('not an HTTP answer: ""');
  });
});
