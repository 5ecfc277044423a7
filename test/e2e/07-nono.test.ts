/** nono's client assertion, byte by byte: a jwt-bearer grant with a stray type, a Host without port, and a read to the end. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RawAnswer, readToEnd } from '../support/raw-http.ts';
import {
  jwtBearerAssertion,
  jwtBearerGrant,
  nonoId,
  ordersId,
  reasonOf,
  type Story,
  startStory,
} from '../support/story.ts';

describe('nono', () => {
  let story: Story;

  beforeAll(async () => {
    story = await startStory();
  });
  afterAll(() => story?.close());

  function post(form: string, type = 'application/x-www-form-urlencoded'): Promise<RawAnswer> {
    return readToEnd(
      story.server.url,
      `POST /oauth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: ${type}\r\nContent-Length: ${form.length}\r\nAccept: application/json\r\nConnection: close\r\n\r\n${form}`,
    );
  }

  async function assertionForm(spiffeId: string, extra = ''): Promise<string> {
    const svid = await story.svid(spiffeId, story.server.url);
    return `grant_type=${encodeURIComponent(jwtBearerGrant)}&client_assertion_type=${encodeURIComponent(jwtBearerAssertion)}&assertion=${svid}${extra}`;
  }

  function expectClosedJson(answer: RawAnswer): Record<string, unknown> {
    expect(answer.isEnded).toBe(true); // it reads to the end of the stream
    expect(answer.headers.get('connection')).toBe('close');
    expect(answer.headers.get('content-length')).toBe(String(answer.body.length));
    expect(answer.headers.get('transfer-encoding')).toBeUndefined(); // not decoded in its plain path
    return JSON.parse(answer.body) as Record<string, unknown>;
  }

  test('without an audience it gets its one default target', async () => {
    const answer = await post(await assertionForm(nonoId));
    const body = expectClosedJson(answer);
    expect(answer.status).toBe(200);
    expect(body).toMatchObject({ token_type: 'Bearer' });
    expect(Number.isInteger(body.expires_in)).toBe(true);
    const [, payload = ''] = String(body.access_token).split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
    // The issuer is ours by configuration, whatever the Host said.
    expect(claims).toMatchObject({ iss: story.server.url, aud: 'alpha', sub: nonoId });
  });

  test('with audience and scope from its extra_params, in any order', async () => {
    for (const extra of ['&audience=alpha&scope=alpha', '&scope=alpha&audience=alpha']) {
      const answer = await post(await assertionForm(nonoId, extra));
      expect(expectClosedJson(answer)).toMatchObject({ token_type: 'Bearer', scope: 'alpha' });
      expect(answer.status).toBe(200);
    }
  });

  test('without a default the answer says that a target is missing', async () => {
    const answer = await post(await assertionForm(ordersId));
    expect(answer.status).toBe(400);
    const body = expectClosedJson(answer);
    expect(body).toMatchObject({
      error: 'invalid_target',
      error_description: 'The request names no target, and there is not exactly one default for this caller.',
    });
    expect(await reasonOf(story.server, body.request_id)).toBe('policy.no_default_target');
  });

  test('a bad assertion is invalid_grant, and the connection closes all the same', async () => {
    const form = await assertionForm(nonoId);
    const answer = await post(`${form.slice(0, -20)}${'A'.repeat(20)}`);
    expect(answer.status).toBe(400);
    const body = expectClosedJson(answer);
    expect(body.error).toBe('invalid_grant');
    expect(await reasonOf(story.server, body.request_id)).toBe('credential.signature_invalid');
  });

  test('its plain client_credentials with a secret is refused: nobody stores a secret here', async () => {
    const answer = await post(
      'grant_type=client_credentials&client_id=nono&client_secret=s3cret&scope=alpha',
    );
    expect(answer.status).toBe(401);
    const body = expectClosedJson(answer);
    expect(body.error).toBe('invalid_client');
    expect(await reasonOf(story.server, body.request_id)).toBe('request.client_authentication_unsupported');
  });

  test('a JSON body, as other providers take it, is refused in OAuth’s own words', async () => {
    const answer = await post('{"grant_type":"client_credentials"}', 'application/json');
    expect(answer.status).toBe(400);
    const body = expectClosedJson(answer);
    expect(body.error).toBe('invalid_request');
    expect(await reasonOf(story.server, body.request_id)).toBe('request.content_type');
  });
});
