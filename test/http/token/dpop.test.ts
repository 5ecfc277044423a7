/** DPoP at both token endpoints: the nonce first, then a token that is bound to the key, and each refusal as its caller reads it. */
import { once } from 'node:events';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProof, thumbprintOfKey } from '../../support/dpop.ts';
import {
  newAddress,
  openHouse,
  postForm,
  type TestHouse,
  testIssuer,
  testTokenEndpoint,
} from '../../support/house.ts';
import {
  type Claims,
  makeKey,
  signToken,
  testNowMillis,
  testNowSeconds,
  times,
} from '../../support/tokens.ts';
import { orders, tellStory } from './story.ts';

const key = await makeKey('client');
const jkt = await thumbprintOfKey(key);
let story: Awaited<ReturnType<typeof tellStory>>;
let house: TestHouse;
let nonce: string;

const document = (kind: string, name: string, spec: object) => ({
  apiVersion: 'mintmark/v1',
  kind,
  metadata: { name },
  spec,
});

beforeAll(async () => {
  story = await tellStory();
  house = await openHouse([
    ...story.documents,
    document('Resource', 'bound', { audience: 'bound', proof: 'dpop' }),
    document('Resource', 'certified', { audience: 'certified', proof: 'mtls' }),
    ...['bound', 'certified'].map((resource) =>
      document('Grant', `orders-${resource}`, { subjects: [{ spiffeId: orders }], resource }),
    ),
  ]);
  nonce = String((await ask({}, await makeProof(key, testTokenEndpoint))).headers['dpop-nonce']);
});
afterAll(() => house.close());

const assertion = (svid: string) => ({
  grant_type: 'client_credentials',
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
  client_assertion: svid,
  audience: 'alpha',
});

async function ask(form: Record<string, string>, proof?: string, app = house.app) {
  const headers = proof === undefined ? {} : { dpop: proof };
  return postForm(app, { ...assertion(await story.svid()), ...form }, headers);
}

const proofWith = (claims: Claims = {}, header: Claims = {}) =>
  makeProof(key, testTokenEndpoint, { nonce, ...claims }, header);

async function expectRefusal(response: Awaited<ReturnType<typeof ask>>, reason: string, error: string) {
  expect([response.statusCode, response.json()]).toMatchObject([400, { error }]);
  expect(response.headers['cache-control']).toBe('no-store');
  const event = await house.eventOf(response.json().request_id);
  expect(event).toMatchObject({ outcome: 'refused', reason, error_code: error });
}

describe('a proof at the token endpoint', () => {
  it('without our nonce gets one, and with it a token that is bound to its key', async () => {
    const first = await ask({}, await makeProof(key, testTokenEndpoint));
    await expectRefusal(first, 'dpop.nonce_missing', 'use_dpop_nonce');
    expect(first.headers['dpop-nonce']).toMatch(/^[\w-]{22}$/);

    const second = await ask({}, await proofWith({ nonce: first.headers['dpop-nonce'] }));
    expect([second.statusCode, second.json()]).toMatchObject([200, { token_type: 'DPoP' }]);
    expect(second.headers['dpop-nonce']).toBe(first.headers['dpop-nonce']);
    expect(decodeJwt(second.json().access_token)).toMatchObject({ sub: orders, cnf: { jkt } });
    expect(await house.eventOf(String(second.headers['x-request-id']))).toMatchObject({
      outcome: 'permitted',
      proof: 'dpop',
      cnf: { jkt },
    });
  });

  it('is given the new nonce before the old one ends', async () => {
    house.clock.set(testNowMillis + 120_000);
    try {
      const svid = await story.svid(orders, testIssuer, { iat: testNowSeconds + 120 });
      const proof = await proofWith({ iat: testNowSeconds + 120 });
      const response = await postForm(house.app, assertion(svid), { dpop: proof });
      expect(response.statusCode).toBe(200);
      expect(response.headers['dpop-nonce']).not.toBe(nonce);
    } finally {
      house.clock.set(testNowMillis);
    }
  });

  it('is good once', async () => {
    const proof = await proofWith();
    expect((await ask({}, proof)).statusCode).toBe(200);
    await expectRefusal(await ask({}, proof), 'dpop.replayed', 'invalid_dpop_proof');
  });

  it.each<[string, string, () => Promise<string>]>([
    ['of another URL', 'dpop.url_mismatch', () => proofWith({ htu: 'https://evil.test/oauth/token' })],
    ['of the other endpoint', 'dpop.url_mismatch', () => proofWith({ htu: `${testIssuer}/api/v1/token` })],
    ['of another method', 'dpop.method_mismatch', () => proofWith({ htm: 'GET' })],
    ['that is old', 'dpop.not_fresh', () => proofWith({ iat: testNowSeconds - 61 })],
    ['that is no JWT', 'dpop.malformed', async () => 'proof'],
    ['of no text', 'dpop.malformed', async () => ''],
    ['of another type', 'dpop.type_mismatch', () => proofWith({}, { typ: 'JWT' })],
    ['that holds no key', 'dpop.key_refused', () => proofWith({}, { jwk: undefined })],
  ])('is refused: one %s', async (_, reason, proof) => {
    await expectRefusal(await ask({}, await proof()), reason, 'invalid_dpop_proof');
  });

  it('is held to our own URL, whatever the Host header says', async () => {
    const headers = { host: 'evil.test', 'x-forwarded-host': 'evil.test', 'x-forwarded-proto': 'https' };
    const proof = await proofWith({ htu: 'https://evil.test/oauth/token' });
    const form = assertion(await story.svid());
    const response = await postForm(house.app, form, { ...headers, dpop: proof });
    await expectRefusal(response, 'dpop.url_mismatch', 'invalid_dpop_proof');
    expect((await postForm(house.app, form, { ...headers, dpop: await proofWith() })).statusCode).toBe(200);
  });

  it('is refused beside another one', async () => {
    await house.app.listen({ host: '127.0.0.1', port: 0 });
    const call = request({
      port: (house.app.server.address() as AddressInfo).port,
      method: 'POST',
      path: '/oauth/token',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    call.setHeader('DPoP', [await proofWith(), await proofWith()]);
    call.end(new URLSearchParams(assertion(await story.svid())).toString());
    const [response] = await once(call, 'response');
    const body = JSON.parse(await text(response));
    expect([response.statusCode, body]).toMatchObject([400, { error: 'invalid_dpop_proof' }]);
    expect(await house.eventOf(body.request_id)).toMatchObject({ reason: 'dpop.malformed' });
  });

  it('is looked at only once its caller is known', async () => {
    const stranger = await signToken(story.strangerKey, { sub: orders, aud: testIssuer, exp: 9e9 });
    const response = await postForm(house.app, assertion(stranger), { dpop: 'proof' });
    expect([response.statusCode, response.json().error]).toEqual([401, 'invalid_client']);
  });

  it('that lacks the nonce uses up no one-time credential', async () => {
    const onceClaims = { iss: 'https://once.test', sub: 'job', aud: testIssuer, jti: 'one', ...times(300) };
    const credential = {
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: await signToken(story.clusterKey, onceClaims),
      audience: 'alpha',
      scope: 'alpha',
    };
    const ofOnce = async (proof: string) => postForm(house.app, credential, { dpop: proof });
    const first = await ofOnce(await makeProof(key, testTokenEndpoint));
    await expectRefusal(first, 'dpop.nonce_missing', 'use_dpop_nonce');
    expect((await ofOnce(await proofWith())).statusCode).toBe(200);
    await expectRefusal(await ofOnce(await proofWith()), 'credential.replayed', 'invalid_grant');
  });
});

describe('no proof', () => {
  it('gives a bearer token, and no nonce', async () => {
    const response = await ask({});
    expect([response.statusCode, response.json().token_type]).toEqual([200, 'Bearer']);
    expect(decodeJwt(response.json().access_token)).not.toHaveProperty('cnf');
    expect(response.headers).not.toHaveProperty('dpop-nonce');
  });
});

describe('a proof at the agentless endpoint', () => {
  const url = `${testIssuer}/api/v1/token`;
  const call = async (dpop: string) =>
    house.app.inject({
      method: 'POST',
      url: '/api/v1/token',
      remoteAddress: newAddress(),
      headers: { authorization: `Bearer ${await story.platformToken()}`, dpop },
      payload: { audience: 'alpha' },
    });

  it('is for that endpoint’s own URL, and binds the token', async () => {
    const elsewhere = await call(await proofWith());
    await expectRefusal(elsewhere, 'dpop.url_mismatch', 'invalid_dpop_proof');
    const nonceless = await call(await makeProof(key, url));
    await expectRefusal(nonceless, 'dpop.nonce_missing', 'use_dpop_nonce');
    const proof = await makeProof(key, url, { nonce: nonceless.headers['dpop-nonce'] });
    const response = await call(proof);
    expect([response.statusCode, response.json().token_type]).toEqual([200, 'DPoP']);
    expect(decodeJwt(response.json().access_token).cnf).toEqual({ jkt });
  });
});

describe('a resource that demands a proof', () => {
  it('gives a bound token with it, and none without', async () => {
    const response = await ask({ audience: 'bound' }, await proofWith());
    expect(decodeJwt(response.json().access_token).cnf).toEqual({ jkt });
    const without = await ask({ audience: 'bound' });
    await expectRefusal(without, 'policy.dpop_required', 'invalid_dpop_proof');
    expect(without.json().error_description).toContain('send a DPoP proof');
  });

  it('tells that to nobody whom it is not for', async () => {
    const svid = await story.svid('spiffe://prod.test/other');
    const response = await postForm(house.app, { ...assertion(svid), audience: 'bound' });
    await expectRefusal(response, 'policy.no_grant', 'invalid_target');
  });

  it('that is a certificate is not met by a DPoP proof, nor by nothing', async () => {
    for (const proof of [undefined, await proofWith()]) {
      const response = await ask({ audience: 'certified' }, proof);
      await expectRefusal(response, 'policy.certificate_required', 'invalid_request');
    }
  });
});

describe('the replay guard that is away', () => {
  it('refuses proofs, and nothing else', async () => {
    const lonely = await openHouse(story.documents, { REDIS_URL: 'redis://127.0.0.1:1' });
    try {
      const first = await ask({}, await makeProof(key, testTokenEndpoint), lonely.app);
      const proof = await proofWith({ nonce: first.headers['dpop-nonce'] });
      const response = await ask({}, proof, lonely.app);
      expect([response.statusCode, response.json().error]).toEqual([503, 'temporarily_unavailable']);
      expect(response.headers['retry-after']).toBe('1');
      const event = await lonely.eventOf(response.json().request_id);
      expect(event).toMatchObject({ outcome: 'failed', reason: 'server.replay_guard_unavailable' });
      expect((await ask({}, undefined, lonely.app)).statusCode).toBe(200);
    } finally {
      await lonely.close();
    }
  });
});

describe('the metadata', () => {
  it('names the algorithms of proofs, and certificates only where they are taken', async () => {
    for (const path of ['oauth-authorization-server', 'openid-configuration']) {
      const metadata = (await house.app.inject(`/.well-known/${path}`)).json();
      expect(metadata.dpop_signing_alg_values_supported).toContain('ES256');
      expect(metadata.dpop_signing_alg_values_supported).not.toContain('none');
      expect(metadata).not.toHaveProperty('tls_client_certificate_bound_access_tokens');
    }
  });
});
