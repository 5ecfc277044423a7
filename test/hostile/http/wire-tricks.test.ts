/** Bytes on a real socket that two readers could read differently, or that never end. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readToEnd } from '../../support/raw-http.ts';
import { jwtSpiffeAssertion, ordersId, reasonOf, type Story, startStory } from '../../support/story.ts';

let story: Story;
let svid: string;
let form: string;
beforeAll(async () => {
  story = await startStory();
  svid = await story.svid(ordersId, story.server.url);
  form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_assertion_type: jwtSpiffeAssertion,
    client_assertion: svid,
    audience: 'alpha',
  }).toString();
});
afterAll(() => story.close());

const formType = 'Content-Type: application/x-www-form-urlencoded';

function request(path: string, headers: readonly string[], body: string, method = 'POST'): string {
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: sts.test', 'Connection: close', ...headers];
  return `${[...lines, `Content-Length: ${Buffer.byteLength(body)}`].join('\r\n')}\r\n\r\n${body}`;
}

const send = (path: string, headers: readonly string[], body: string) =>
  readToEnd(story.server.url, request(path, headers, body));

/** The public error and our reason behind it; nothing of the credential is in the answer or the log. */
async function expectRefused(
  answer: Awaited<ReturnType<typeof send>>,
  expected: { status: number; error: string; reason: string },
) {
  const { error, request_id: requestId } = JSON.parse(answer.body);
  const reason = await reasonOf(story.server, requestId);
  expect({ status: answer.status, error, reason }).toEqual(expected);
  for (const part of svid.split('.')) {
    expect(answer.body).not.toContain(part);
    expect(story.server.output()).not.toContain(part);
  }
}

describe('a form that is sent by hand', () => {
  it.each([
    ['as the RFC says', '/oauth/token', [formType]],
    ['by an absolute URL of another host', 'http://evil.test/oauth/token', [formType]],
    ['after asking whether to go on', '/oauth/token', [formType, 'Expect: 100-continue']],
    ['in no encoding by name', '/oauth/token', [formType, 'Content-Encoding: identity']],
  ])('%s gets a token', async (_name, path, headers) => {
    const answer = await send(path, headers, form);
    expect(answer.body).toContain('"access_token"');
    expect(answer.body).not.toContain('evil.test');
  });

  it.each([
    ['after a fragment', '/oauth/token#a=b', [formType], 'request.query_parameters'],
    ['as if it were gzip', '/oauth/token', [formType, 'Content-Encoding: gzip'], 'request.content_type'],
    [
      'with two content types',
      '/oauth/token',
      [formType, 'Content-Type: application/json'],
      'request.malformed',
    ],
    [
      'with two callers',
      '/oauth/token',
      ['Authorization: Bearer a', 'Authorization: Bearer b', formType],
      'request.malformed',
    ],
  ])('%s is refused', async (_name, path, headers, reason) => {
    await expectRefused(await send(path, headers, form), { status: 400, error: 'invalid_request', reason });
  });

  it.each([
    ['two lengths', [formType, 'Content-Length: 5']],
    ['a length and chunks', [formType, 'Transfer-Encoding: chunked']],
    ['a folded header', [formType, 'X-A: a\r\n b']],
    ['NUL in a header', [formType, 'X-A: a\0b']],
    ['headers beyond 24 KiB', [formType, `X-A: ${'a'.repeat(25 * 1024)}`]],
  ])('with %s is not read at all', async (_name, headers) => {
    const answer = await send('/oauth/token', headers, form);
    expect([400, 431]).toContain(answer.status);
    expect(answer.isEnded).toBe(true);
    expect(answer.body).not.toContain('access_token');
  });
});

it('takes one Authorization header, and of two neither', async () => {
  const json = ['Content-Type: application/json'];
  const body = '{"audience":"alpha"}';
  const bearer = `Authorization: Bearer ${svid}`;
  expect((await send('/api/v1/token', [...json, bearer], body)).status).toBe(200);
  for (const headers of [
    [bearer, 'Authorization: Bearer other'],
    ['authorization: Bearer other', bearer],
  ]) {
    await expectRefused(await send('/api/v1/token', [...json, ...headers], body), {
      status: 400,
      error: 'invalid_request',
      reason: 'request.malformed',
    });
  }
});

it('answers a URL that is none without repeating it', async () => {
  const answer = await send(`/oauth/%ff${svid}`, [formType], form);
  expect(answer.status).toBe(400);
  expect(JSON.parse(answer.body)).toEqual({
    error: 'invalid_request',
    request_id: answer.headers.get('x-request-id'),
  });
});

it('ends what is not whole after ten seconds, not when Node gets round to it', async () => {
  const started = performance.now();
  const whole = request('/oauth/token', [formType], form);
  const stranger = request('/admin/v1/policy', ['Content-Type: application/json'], 'x'.repeat(1000), 'PUT');
  const slow = [whole.slice(0, -10), 'POST /oauth/token HTTP/1.1\r\n', '', stranger.slice(0, -990)];
  const answers = await Promise.all(slow.map((bytes) => readToEnd(story.server.url, bytes, 25_000)));
  expect(answers.map(({ status }) => status)).toEqual([408, 408, 408, 401]);
  expect(performance.now() - started).toBeLessThan(20_000);
  await expect.poll(() => story.server.output()).toContain('"request.timeout"');
  expect((await readToEnd(story.server.url, whole)).status).toBe(200);
});
