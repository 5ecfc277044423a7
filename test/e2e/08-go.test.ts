/** Two Go clients by the bytes that they write: Cofide's Credex, and golang.org/x/oauth2 0.38 with its Basic-first probe. */
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RawAnswer, readOneAnswer } from '../support/raw-http.ts';
import {
  accessTokenType,
  jwtSpiffeAssertion,
  jwtSpiffeTokenType,
  ordersId,
  reasonOf,
  type Story,
  startStory,
  tokenExchangeGrant,
} from '../support/story.ts';

describe('Go clients', () => {
  let story: Story;
  let svid: string;

  beforeAll(async () => {
    story = await startStory();
    svid = await story.svid(ordersId, `${story.server.url}/oauth/token`);
  });
  afterAll(() => story?.close());

  /** As net/http writes a form: its keys sorted, its own header order, gzip accepted. */
  function post(form: Record<string, string>, authorization = ''): Promise<RawAnswer> {
    const sorted = new URLSearchParams(form);
    sorted.sort();
    const body = sorted.toString();
    const { host } = new URL(story.server.url);
    return readOneAnswer(
      story.server.url,
      `POST /oauth/token HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: ${body.length}\r\n${authorization}Content-Type: application/x-www-form-urlencoded\r\nAccept-Encoding: gzip\r\n\r\n${body}`,
    );
  }

  const bodyOf = (answer: RawAnswer) => JSON.parse(answer.body) as Record<string, unknown>;

  test('Credex: one SVID as client assertion and as subject token', async () => {
    const form = {
      audience: 'alpha',
      client_assertion: svid,
      client_assertion_type: jwtSpiffeAssertion,
      grant_type: tokenExchangeGrant,
      scope: 'alpha',
      subject_token: svid,
      subject_token_type: jwtSpiffeTokenType,
    };
    const answer = await post(form);
    expect(answer.status, answer.body).toBe(200);
    expect(bodyOf(answer)).toMatchObject({ issued_token_type: accessTokenType, token_type: 'Bearer' });
    expect(answer.headers.get('content-encoding')).toBeUndefined();
    expect(decodeJwt(String(bodyOf(answer).access_token))).toMatchObject({ aud: 'alpha', sub: ordersId });

    // A hyphen for the underscore makes it a type that nobody defined.
    const misspelt = await post({
      ...form,
      subject_token_type: jwtSpiffeTokenType.replace('_spiffe', '-spiffe'),
    });
    expect(misspelt.status).toBe(400);
    expect(bodyOf(misspelt).error).toBe('invalid_request');
    expect(await reasonOf(story.server, bodyOf(misspelt).request_id)).toBe('request.token_type_unsupported');
  });

  test('x/oauth2: Basic beside the assertion is refused, and its second try in the body is served', async () => {
    const form = {
      audience: 'alpha',
      client_assertion: svid,
      client_assertion_type: jwtSpiffeAssertion,
      grant_type: 'client_credentials',
      scope: 'alpha profile',
    };
    const basic = Buffer.from(`${encodeURIComponent(ordersId)}:`).toString('base64');
    const first = await post(form, `Authorization: Basic ${basic}\r\n`);
    expect(first.status).toBe(400);
    expect(bodyOf(first).error).toBe('invalid_request');
    expect(await reasonOf(story.server, bodyOf(first).request_id)).toBe('request.two_client_authentications');

    const second = await post({ ...form, client_id: ordersId });
    expect(second.status, second.body).toBe(200);
    expect(bodyOf(second)).toMatchObject({ token_type: 'Bearer', scope: 'alpha profile' });

    const withoutClientId = await post(form); // AuthStyleInParams and no ClientID
    expect(withoutClientId.status).toBe(200);
  });

  test('x/oauth2 with a secret alone is told which scheme failed', async () => {
    const basic = Buffer.from('client:secret').toString('base64');
    const answer = await post({ grant_type: 'client_credentials' }, `Authorization: Basic ${basic}\r\n`);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Basic realm="mintmark"');
    expect(bodyOf(answer).error).toBe('invalid_client');
    expect(await reasonOf(story.server, bodyOf(answer).request_id)).toBe(
      'request.client_authentication_unsupported',
    );
  });
});
