/** A credential of one use, presented many times at once and in every way that is not the same bytes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tellStory } from '../../http/token/story.ts';
import { newAddress, openHouse, postForm, type TestHouse, testIssuer } from '../../support/house.ts';
import { signToken, testNowMillis, times } from '../../support/tokens.ts';
import { expectRefused } from './refused.ts';

let story: Awaited<ReturnType<typeof tellStory>>;
let house: TestHouse;
beforeAll(async () => {
  story = await tellStory();
  house = await openHouse(story.documents);
});
afterAll(() => house.close());

const jwtType = 'urn:ietf:params:oauth:token-type:jwt';
const lanes = {
  client: (token: string) => ({
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: token,
    audience: 'alpha',
  }),
  assertion: (token: string) => ({
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: token,
    audience: 'alpha',
  }),
  exchange: (token: string) => ({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: token,
    subject_token_type: jwtType,
    audience: 'alpha',
  }),
};
const makeOnce = (claims = {}) =>
  signToken(story.clusterKey, {
    iss: 'https://once.test',
    sub: 'job-1',
    aud: testIssuer,
    jti: crypto.randomUUID(),
    ...times(300),
    ...claims,
  });
const replayed = { status: 400, error: 'invalid_request', reason: 'credential.replayed' };

describe('a credential of one use', () => {
  it.each([
    ['with a jti', {}],
    ['without one', { jti: undefined }],
  ])('%s gives one token, however many ask at once and by whatever lane', async (_name, claims) => {
    const token = await makeOnce(claims);
    const forms = Array.from({ length: 12 }, () => Object.values(lanes).map((form) => form(token))).flat();
    const responses = await Promise.all(forms.map((form) => postForm(house.app, form)));
    expect(responses.filter(({ statusCode }) => statusCode === 200)).toHaveLength(1);
    const events = await Promise.all(
      responses.map((response) => house.eventOf(String(response.headers['x-request-id']))),
    );
    expect(events.filter(({ reason }) => reason === 'credential.replayed')).toHaveLength(forms.length - 1);
    expect(events.filter(({ outcome }) => outcome === 'permitted')).toHaveLength(1);
  });

  it('is used up by a request that is refused', async () => {
    const token = await makeOnce();
    const refused = await postForm(house.app, { ...lanes.exchange(token), audience: 'beta' });
    expect(refused.json().error).toBe('invalid_target');
    await expectRefused(house, await postForm(house.app, lanes.exchange(token)), replayed, [token]);
  });

  // (r, s) and (r, n − s) are both signatures of ES256: whoever counts tokens by their bytes counts two.
  it('is the same with its other valid signature', async () => {
    const token = await makeOnce({ jti: undefined, sub: 'job-2' });
    expect((await postForm(house.app, lanes.exchange(token))).statusCode).toBe(200);
    const twin = withOtherSignature(token);
    expect(twin).not.toBe(token);
    await expectRefused(house, await postForm(house.app, lanes.exchange(twin)), replayed, [token, twin]);
  });

  it('gives nothing in its last second, nor after it', async () => {
    const token = await makeOnce(times(300));
    for (const leftMillis of [999, 1, 0, -1]) {
      house.clock.set(testNowMillis + 300_000 - leftMillis);
      const response = await postForm(house.app, lanes.exchange(token));
      expect(response.statusCode).toBe(400);
      expect(['credential.expired', 'credential.replayed']).toContain(
        (await house.eventOf(response.json().request_id)).reason,
      );
    }
    house.clock.set(testNowMillis);
    const agentless = { method: 'POST', url: '/api/v1/token', remoteAddress: newAddress() } as const;
    const fresh = await makeOnce();
    const response = await house.app.inject({
      ...agentless,
      headers: { authorization: fresh },
      payload: { audience: 'alpha' },
    });
    expect(response.statusCode).toBe(200);
  });
});

const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n; // of P-256

function withOtherSignature(token: string): string {
  const dot = token.lastIndexOf('.');
  const signature = Buffer.from(token.slice(dot + 1), 'base64url');
  const s = order - BigInt(`0x${signature.subarray(32).toString('hex')}`);
  const other = Buffer.concat([
    signature.subarray(0, 32),
    Buffer.from(s.toString(16).padStart(64, '0'), 'hex'),
  ]);
  return `${token.slice(0, dot)}.${other.toString('base64url')}`;
}
