/** The agentless call: a function with one bare `fetch` and the token that its platform gave it. */
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditEvent, functionId, hashOf, reasonOf, type Story, startStory } from '../support/story.ts';

describe('one fetch', () => {
  let story: Story;
  let platformToken: string;

  beforeAll(async () => {
    story = await startStory();
    platformToken = await story.platformToken(story.server.url);
  });
  afterAll(() => story?.close());

  async function ask(init: RequestInit): Promise<{ response: Response; body: Record<string, unknown> }> {
    const response = await fetch(`${story.server.url}/api/v1/token`, { method: 'POST', ...init });
    return { response, body: (await response.json()) as Record<string, unknown> };
  }

  const asJson = (body: unknown, authorization = `Bearer ${platformToken}`): RequestInit => ({
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

  test.each([
    ['a scope as text', { audience: 'alpha', scope: 'alpha' }],
    ['a scope as list', { audience: 'alpha', scope: ['alpha'] }],
    ['no target: the default one', { scope: 'alpha' }],
    ['what SPIRE’s issue asked for', { additional_claims: {} }],
    ['an empty object', {}],
  ])('with %s', async (_name, request) => {
    const { response, body } = await ask(asJson(request));
    expect(response.status).toBe(200);
    expect(body).toMatchObject({ token_type: 'Bearer', scope: 'alpha' });
    expect(decodeJwt(String(body.access_token))).toMatchObject({ aud: 'alpha', sub: functionId });
  });

  test('with no body at all, the token with or without its scheme', async () => {
    for (const authorization of [`Bearer ${platformToken}`, `bearer ${platformToken}`, platformToken]) {
      const { response, body } = await ask({ headers: { authorization } });
      expect(response.status).toBe(200);
      expect(body).toMatchObject({ token_type: 'Bearer', scope: 'alpha' });
    }
  });

  test('the audit names the token that was released by its hash, and keeps neither token', async () => {
    const { response, body } = await ask(asJson({ audience: 'alpha' }));
    const requestId = response.headers.get('x-request-id') ?? '';
    const event = await auditEvent(story.server.url, story.server.adminToken(), requestId);
    expect(event).toMatchObject({
      outcome: 'permitted',
      identity: functionId,
      resource: 'alpha',
      token_hash: hashOf(String(body.access_token)),
      credential_hash: hashOf(platformToken),
    });
    const kept = JSON.stringify(event) + story.server.output();
    expect(kept).not.toContain(platformToken.slice(-40));
    expect(kept).not.toContain(String(body.access_token).slice(-40));
  });

  test.each([
    ['no token', {}, { audience: 'alpha' }, 401, 'invalid_token', 'request.credential_missing'],
    ['a target without a grant', undefined, { audience: 'beta' }, 400, 'invalid_target', 'policy.no_grant'],
    [
      'a field that nobody knows',
      undefined,
      { audiance: 'alpha' },
      400,
      'invalid_request',
      'request.unknown_parameter',
    ],
    [
      'claims that no grant allows',
      undefined,
      { additional_claims: { a: 1 } },
      400,
      'invalid_request',
      'request.claim_not_allowed',
    ],
  ])('refuses %s', async (_name, headers, request, status, code, reason) => {
    const init = asJson(request);
    if (headers !== undefined) init.headers = { ...headers, 'content-type': 'application/json' };
    const { response, body } = await ask(init);
    expect(response.status).toBe(status);
    expect(body.error).toBe(code);
    expect(await reasonOf(story.server, body.request_id)).toBe(reason);
  });

  test('refuses the token of another workload, of another audience, and one that was changed', async () => {
    const other = await story.platformToken(story.server.url, {
      sub: 'system:serviceaccount:payments:other',
      'kubernetes.io': { namespace: 'payments', serviceaccount: { name: 'other', uid: 'x' } },
    });
    const elsewhere = await story.platformToken('https://other.test');
    const changed = `${platformToken.slice(0, -20)}${'A'.repeat(20)}`;
    for (const [token, status, reason] of [
      [other, 400, 'policy.no_grant'],
      [elsewhere, 401, 'credential.audience_mismatch'],
      [changed, 401, 'credential.signature_invalid'],
    ] as const) {
      const { response, body } = await ask(asJson({ audience: 'alpha' }, `Bearer ${token}`));
      expect(response.status, reason).toBe(status);
      expect(await reasonOf(story.server, body.request_id)).toBe(reason);
    }
  });
});
