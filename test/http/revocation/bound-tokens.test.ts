/** Callers whose own token is bound to a DPoP key, at `/oauth/introspect` and `/oauth/revoke`. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signingAlgorithms } from '../../../src/core/algorithm.ts';
import { athOf, makeProof } from '../../support/dpop.ts';
import { openHouse, postForm, type TestHouse, testIssuer, testTokenEndpoint } from '../../support/house.ts';
import { makeKey } from '../../support/tokens.ts';
import { adminGrant } from '../admin/admin-story.ts';
import { gate, post, tellRevocationStory } from './story.ts';

let story: Awaited<ReturnType<typeof tellRevocationStory>>;
let house: TestHouse;
let nonce: string;
const key = makeKey('caller');
const thief = makeKey('thief');
beforeAll(async () => {
  story = await tellRevocationStory();
  house = await openHouse([
    ...story.documents,
    adminGrant({ subjects: [{ spiffeId: gate }], scopes: ['tokens:revoke'] }, 'revokers'),
  ]);
});
afterAll(() => house.close());

const proofFor = async (url: string, claims: object, by = key) =>
  makeProof(await by, url, { nonce, ...claims });

async function boundToken(audience: string, scope: string): Promise<string> {
  const form = { grant_type: 'client_credentials', ...(await story.assertion(gate)), audience, scope };
  const first = await postForm(house.app, form, { dpop: await makeProof(await key, testTokenEndpoint) });
  nonce = String(first.headers['dpop-nonce']);
  const response = await postForm(house.app, form, { dpop: await proofFor(testTokenEndpoint, {}) });
  return String(response.json().access_token);
}

describe.each([
  ['/oauth/introspect', testIssuer, 'tokens:introspect'],
  ['/oauth/revoke', `${testIssuer}/admin/v1`, 'tokens:revoke'],
] as const)('at %s a bound token', (path, audience, scope) => {
  it('is taken with its proof, and neither as bearer, nor without, nor with another’s', async () => {
    const caller = await boundToken(audience, scope);
    const token = await story.token(house.app);
    const ath = athOf(caller);
    const url = `${testIssuer}${path}`;
    const ask = async (authorization: string, dpop?: string) => {
      const response = await post(house.app, path, { token }, { authorization, ...(dpop && { dpop }) });
      if (response.statusCode === 200) return 200;
      const event = await house.eventOf(String(response.headers['x-request-id']));
      // Whose token somebody holds without its key, nobody has to guess.
      if (String(event.reason).startsWith('token.binding_')) expect(event.detail).toContain(`sub ${gate}`);
      const { error } = response.json();
      const challenge = response.headers['www-authenticate'];
      expect(challenge).toBe(
        authorization.startsWith('DPoP')
          ? `DPoP error="${error}", algs="${signingAlgorithms.join(' ')}"`
          : 'Bearer error="invalid_token"',
      );
      return [response.statusCode, error, event.reason];
    };
    expect(await ask(`Bearer ${caller}`)).toEqual([401, 'invalid_token', 'token.binding_scheme']);
    expect(await ask(`DPoP ${caller}`)).toEqual([401, 'invalid_dpop_proof', 'dpop.proof_missing']);
    expect(await ask(`DPoP ${caller}`, await proofFor(url, { ath }, thief))).toEqual([
      401,
      'invalid_token',
      'token.binding_mismatch',
    ]);
    expect(await ask(`DPoP ${caller}`, await proofFor(url, { ath, nonce: undefined }))).toEqual([
      401,
      'use_dpop_nonce',
      'dpop.nonce_missing',
    ]);
    expect(await ask(`DPoP ${caller}`, await proofFor(`${url}x`, { ath }))).toEqual([
      401,
      'invalid_dpop_proof',
      'dpop.url_mismatch',
    ]);
    expect(await ask(`DPoP ${caller}`, await proofFor(url, { ath }))).toBe(200);
  });
});
