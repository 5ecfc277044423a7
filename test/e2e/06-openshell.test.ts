/** OpenShell's token grant, byte by byte, and its strict reading of the answer. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RawAnswer, readOneAnswer } from '../support/raw-http.ts';
import {
  accessTokenType,
  jwtBearerAssertion,
  jwtSpiffeAssertion,
  ordersId,
  reasonOf,
  type Story,
  startStory,
  strangerId,
  tokenExchangeGrant,
} from '../support/story.ts';

describe('OpenShell', () => {
  let story: Story;
  let svid: string;

  beforeAll(async () => {
    story = await startStory();
    svid = await story.svid(ordersId, `${story.server.url}/oauth/token`); // its default is the endpoint
  });
  afterAll(() => story?.close());

  /** The request of its HTTP client: header names in lower case, and nothing besides. */
  function post(form: string): Promise<RawAnswer> {
    const { host } = new URL(story.server.url);
    return readOneAnswer(
      story.server.url,
      `POST /oauth/token HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded\r\naccept: */*\r\nhost: ${host}\r\ncontent-length: ${form.length}\r\n\r\n${form}`,
    );
  }

  function tokenGrant(assertionType: string, assertion: string, target: string): string {
    return `grant_type=client_credentials&client_assertion_type=${encodeURIComponent(assertionType)}&client_assertion=${assertion}&${target}`;
  }

  /** What OpenShell needs of a success; it fails hard on anything else. */
  function expectGranted(answer: RawAnswer, scope: string): string {
    expect(answer.status, answer.body).toBe(200);
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    expect(answer.headers.get('content-length')).toBe(String(answer.body.length));
    expect(answer.headers.get('transfer-encoding')).toBeUndefined();
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const body = JSON.parse(answer.body) as Record<string, unknown>;
    expect(Object.values(body)).not.toContain(null);
    expect(body).toMatchObject({ token_type: 'Bearer', scope });
    expect(body.access_token).toMatch(/^[A-Za-z0-9\-._~+/]+=*$/);
    expect(Number.isInteger(body.expires_in)).toBe(true);
    expect(answer.body).toMatch(/"expires_in":[1-9]\d*[,}]/); // an integer on the wire, not 300.0 or "300"
    return String(body.access_token);
  }

  test.each([jwtBearerAssertion, jwtSpiffeAssertion])('the token grant with %s', async (assertionType) => {
    const answer = await post(tokenGrant(assertionType, svid, 'audience=alpha&scope=alpha+profile'));
    expectGranted(answer, 'alpha profile');
  });

  test('one SVID serves for alpha and for beta, again and again', async () => {
    const tokens = new Set<string>();
    for (const audience of ['alpha', 'beta', 'alpha', 'beta']) {
      const answer = await post(
        tokenGrant(jwtSpiffeAssertion, svid, `audience=${audience}&scope=${audience}`),
      );
      tokens.add(expectGranted(answer, audience));
    }
    expect(tokens.size).toBe(4);
  });

  test('scope is left out of the request and of the answer', async () => {
    const answer = await post(tokenGrant(jwtBearerAssertion, svid, 'audience=alpha'));
    expect(answer.status).toBe(200);
    expect(Object.keys(JSON.parse(answer.body) as object).sort()).toEqual([
      'access_token',
      'expires_in',
      'token_type',
    ]);
  });

  test('its token exchange, client and subject being the same workload', async () => {
    const form = [
      `grant_type=${encodeURIComponent(tokenExchangeGrant)}`,
      `client_assertion_type=${encodeURIComponent(jwtSpiffeAssertion)}&client_assertion=${svid}`,
      `subject_token=${svid}&subject_token_type=${encodeURIComponent(accessTokenType)}`,
      `requested_token_type=${encodeURIComponent(accessTokenType)}&audience=alpha&scope=alpha`,
    ].join('&');
    const answer = await post(form);
    expectGranted(answer, 'alpha');
    expect(JSON.parse(answer.body)).toMatchObject({ issued_token_type: accessTokenType });

    const other = await story.svid(strangerId, story.server.url);
    const forAnother = await post(form.replace(`subject_token=${svid}`, `subject_token=${other}`));
    expect(forAnother.status).toBe(400);
    const { error, request_id: requestId } = JSON.parse(forAnother.body) as Record<string, unknown>;
    expect(error).toBe('unauthorized_client');
    expect(await reasonOf(story.server, requestId)).toBe('policy.delegation_not_permitted');
  });

  test.each([
    ['an audience that nobody defined', 'audience=gamma', 400, 'invalid_target', 'policy.unknown_resource'],
    [
      'a scope beyond the grant',
      'audience=beta&scope=beta+email',
      400,
      'invalid_scope',
      'policy.scope_not_permitted',
    ],
    ['two audiences', 'audience=alpha&audience=beta', 400, 'invalid_target', 'request.many_targets'],
  ])('refuses %s in words that it can show', async (_name, target, status, code, reason) => {
    const answer = await post(tokenGrant(jwtSpiffeAssertion, svid, target));
    expect(answer.status).toBe(status);
    const body = JSON.parse(answer.body) as Record<string, string>;
    expect(body.error).toBe(code);
    expect(body.error_description).toMatch(/^[\x20-\x7e]{1,256}$/);
    expect(answer.body).not.toContain(svid);
    expect(await reasonOf(story.server, body.request_id)).toBe(reason);
  });
});
