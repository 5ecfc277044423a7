/** `additional_claims` on both token endpoints: in the token, in the audit by name, and refused in public words. */
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectRefused } from '../../hostile/http/refused.ts';
import { newAddress, openHouse, postForm, type TestHouse } from '../../support/house.ts';
import { orders, tellStory } from './story.ts';

describe('additional_claims', () => {
  let house: TestHouse;
  let svid: string;
  beforeAll(async () => {
    const story = await tellStory();
    svid = await story.svid();
    const grant = (name: string, claims: object) => ({
      apiVersion: 'mintmark/v1',
      kind: 'Grant',
      metadata: { name },
      spec: { subjects: [{ spiffeId: orders }], resource: 'beta', scopes: ['beta'], claims },
    });
    const text = { type: 'string', maxLength: 1024 };
    house = await openHouse([
      ...story.documents,
      grant('asking', { allowRequested: { order_id: { ...text, maxLength: 64 }, tenant: text, note: text } }),
      grant('giving', { set: { tenant: 'acme', long: 'x'.repeat(3600) } }),
    ]);
  });
  afterAll(() => house.close());

  /** One for all, so that a caller does not learn which claims the policy knows. */
  const sentence = 'The request asks for a claim, or for a value of one, that is not accepted.';

  const byForm = (claims: string) =>
    postForm(house.app, {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
      client_assertion: svid,
      audience: 'beta',
      scope: 'beta',
      additional_claims: claims,
    });
  const byJson = (claims: string) =>
    house.app.inject({
      method: 'POST',
      url: '/api/v1/token',
      remoteAddress: newAddress(),
      headers: { authorization: `Bearer ${svid}`, 'content-type': 'application/json' },
      payload: `{"audience":"beta","scope":"beta","additional_claims":${claims}}`,
    });
  const ways = { form: byForm, JSON: byJson };

  it.each(Object.entries(ways))('reach the token by %s, and the audit by name', async (_way, send) => {
    const response = await send('{"order_id":"canary-order","tenant":"acme"}');
    expect(response.statusCode).toBe(200);
    const claims = decodeJwt(response.json().access_token);
    expect(claims).toMatchObject({ sub: orders, aud: 'beta', order_id: 'canary-order', tenant: 'acme' });
    const event = await house.eventOf(String(response.headers['x-request-id']));
    expect(event).toMatchObject({ outcome: 'permitted', requested_claims: ['order_id', 'tenant'] });
    expect(JSON.stringify(event)).not.toContain('canary-order');
    expect(house.log()).not.toContain('canary-order');
  });

  const refusals = [
    ['a claim that no grant names', '{"role":"canary-value"}', 'request.claim_not_allowed'],
    ['a claim of the exchange', '{"sub":"canary-value"}', 'request.claim_not_allowed'],
    ['a name that no grant can hold', '{"a b":"canary-value"}', 'request.claim_not_allowed'],
    ['a value that is too long', `{"order_id":"canary-value${'x'.repeat(64)}"}`, 'request.claim_invalid'],
    ['another value than a grant gives', '{"tenant":"canary-value"}', 'request.claim_conflict'],
    ['more than a token may carry', `{"note":"canary-value${'x'.repeat(600)}"}`, 'request.claims_too_large'],
    [
      'more than any token may carry',
      `{"note":"canary-value${'x'.repeat(4096)}"}`,
      'request.claims_too_large',
    ],
    ['one claim twice', '{"note":"canary-value","note":"b"}', 'request.malformed'],
    ['a list', '["canary-value"]', 'request.malformed'],
  ] as const;
  it.each(
    Object.entries(ways).flatMap(([way, send]) =>
      refusals.map((refusal) => [way, ...refusal, send] as const),
    ),
  )('by %s: %s is refused', async (_way, _what, claims, reason, send) => {
    const response = await send(claims);
    if (reason.startsWith('request.claim_')) expect(response.json().error_description).toBe(sentence);
    await expectRefused(house, response, { status: 400, error: 'invalid_request', reason }, [
      'canary-value',
      svid,
    ]);
  });
});
