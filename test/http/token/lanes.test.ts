/** One credential gives the same identity, scopes and lifetime on every lane that admits it. */
import fc from 'fast-check';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newAddress, openHouse, postForm, type TestHouse, testTokenEndpoint } from '../../support/house.ts';
import { testNowSeconds } from '../../support/tokens.ts';
import { orders, tellStory } from './story.ts';

const assertionType = (name: string) => `urn:ietf:params:oauth:client-assertion-type:${name}`;
const tokenType = (name: string) => `urn:ietf:params:oauth:token-type:${name}`;

interface Asked {
  readonly audience?: string;
  readonly scope?: string;
  readonly additional_claims?: Readonly<Record<string, unknown>>;
}

type Send = (house: TestHouse, token: string, asked: Asked) => ReturnType<typeof postForm>;

const form =
  (parameters: (token: string) => Record<string, string>): Send =>
  (house, token, { additional_claims: claims, ...asked }) =>
    postForm(house.app, {
      ...parameters(token),
      ...asked,
      ...(claims === undefined ? {} : { additional_claims: JSON.stringify(claims) }),
    });

const lanes: Record<string, { send: Send; admits: 'any' | 'svid' }> = {
  'client assertion, jwt-bearer': {
    admits: 'any',
    send: form((token) => ({
      grant_type: 'client_credentials',
      client_assertion: token,
      client_assertion_type: assertionType('jwt-bearer'),
    })),
  },
  'client assertion, jwt-spiffe': {
    admits: 'svid',
    send: form((token) => ({
      grant_type: 'client_credentials',
      client_assertion: token,
      client_assertion_type: assertionType('jwt-spiffe'),
    })),
  },
  'assertion grant': {
    admits: 'any',
    send: form((token) => ({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: token })),
  },
  'subject token': {
    admits: 'any',
    send: form((token) => ({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: token,
      subject_token_type: tokenType('jwt'),
    })),
  },
  'subject token and client assertion': {
    admits: 'svid',
    send: form((token) => ({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: token,
      subject_token_type: tokenType('jwt_spiffe'),
      client_assertion: token,
      client_assertion_type: assertionType('jwt-spiffe'),
    })),
  },
  bearer: {
    admits: 'any',
    send: ({ app }, token, asked) =>
      app.inject({
        method: 'POST',
        url: '/api/v1/token',
        remoteAddress: newAddress(),
        headers: { authorization: `Bearer ${token}` },
        payload: asked,
      }),
  },
  'bare token': {
    admits: 'any',
    send: ({ app }, token, asked) =>
      app.inject({
        method: 'POST',
        url: '/api/v1/token',
        remoteAddress: newAddress(),
        headers: { authorization: token },
        payload: asked,
      }),
  },
};

const subjects = [{ spiffeId: orders }, { issuer: 'cluster' }];
const askable = [
  {
    apiVersion: 'mintmark/v1',
    kind: 'Grant',
    metadata: { name: 'askable' },
    spec: {
      subjects,
      resource: 'alpha',
      scopes: ['alpha'],
      claims: { allowRequested: { order_id: { type: 'string', maxLength: 8, pattern: '^[a-z0-9]+$' } } },
    },
  },
];

describe('lanes', () => {
  let house: TestHouse;
  let story: Awaited<ReturnType<typeof tellStory>>;
  beforeAll(async () => {
    story = await tellStory();
    house = await openHouse([...story.documents, ...askable]);
  });
  afterAll(() => house.close());

  const asked = fc.record(
    {
      audience: fc.constantFrom('alpha', 'beta', 'gamma'),
      scope: fc.constantFrom('alpha', 'profile alpha', 'email', 'beta'),
      additional_claims: fc.constantFrom({}, { order_id: 'a1' }, { order_id: 'A1' }, { other: 'a1' }),
    },
    { requiredKeys: [] },
  );
  const remainingSeconds = fc.integer({ min: 1, max: 3600 });
  const kind = fc.constantFrom('svid' as const, 'platform token' as const);
  const badly = fc.constantFrom(undefined, 'signed by a stranger' as const, 'expired' as const);

  it('agree on who asks and what they get, or on the refusal', async () => {
    const reasons = new Set<unknown>();
    let permitted = 0;
    let added = 0;
    await fc.assert(
      fc.asyncProperty(kind, asked, remainingSeconds, badly, async (kind, asked, remainingSeconds, badly) => {
        const exp = badly === 'expired' ? testNowSeconds - 1 : testNowSeconds + remainingSeconds;
        const signer = badly === 'signed by a stranger' ? await tellStory() : story;
        const token =
          kind === 'svid'
            ? await signer.svid(undefined, undefined, { exp })
            : await signer.platformToken({ exp });
        const outcomes = new Set<string>();
        for (const { admits, send } of Object.values(lanes)) {
          if (admits === 'svid' && kind !== 'svid') continue;
          const response = await send(house, token, asked);
          const body = response.json();
          if (response.statusCode === 200) {
            permitted++;
            const { sub, client_id, aud, scope, iat, exp, iss, order_id } = decodeJwt(body.access_token);
            if (order_id !== undefined) added++;
            outcomes.add(
              JSON.stringify({
                sub,
                client_id,
                aud,
                scope,
                iat,
                exp,
                iss,
                order_id,
                expires: body.expires_in,
              }),
            );
          } else {
            const { reason, identity, resource, requested_claims } = await house.eventOf(body.request_id);
            reasons.add(reason);
            outcomes.add(JSON.stringify({ reason, identity, resource, requested_claims }));
          }
        }
        expect([...outcomes]).toHaveLength(1);
      }),
      { numRuns: 200, seed: 20261124 }, // one seed, so that the counts below are the same in every run
    );
    expect(permitted).toBeGreaterThan(20); // the property did not hold for want of tokens
    expect(reasons).toContain('policy.unknown_resource');
    expect(reasons).toContain('credential.signature_invalid');
    expect(reasons).toContain('credential.expired');
    expect(reasons).toContain('request.claim_not_allowed');
    expect(reasons).toContain('request.claim_invalid');
    expect(added).toBeGreaterThan(5);
  });

  it('differ only in what a client assertion must be addressed to', async () => {
    const forEndpoint = await story.svid(undefined, testTokenEndpoint);
    const forMany = await story.svid(undefined, [testTokenEndpoint, 'https://other.test']);
    for (const [name, { send }] of Object.entries(lanes)) {
      expect((await send(house, forEndpoint, { audience: 'alpha' })).statusCode, name).toBe(200);
      const response = await send(house, forMany, { audience: 'alpha' });
      const isAssertion = name.includes('client assertion');
      expect(response.statusCode, name).toBe(isAssertion ? 401 : 200);
      if (!isAssertion) continue;
      expect(response.json().error).toBe('invalid_client');
      expect(await house.eventOf(response.json().request_id)).toMatchObject({
        reason: 'credential.audience_not_sole',
      });
    }
  });
});
