/** JWT-SVIDs of our own trust domain: what they look like, whose keys sign them, and who gets none. */
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProof } from '../../support/dpop.ts';
import {
  newAddress,
  openHouse,
  postForm,
  type TestHouse,
  testIssuer,
  testTokenEndpoint,
} from '../../support/house.ts';
import {
  type bundleOf,
  kubernetesClaims,
  makeKey,
  testNowMillis,
  testNowSeconds,
} from '../../support/tokens.ts';
import { makeDomain, verifierFor } from '../../support/tokens-policy.ts';
import { callAdmin } from '../admin/admin-calls.ts';
import { clusterIssuer, orders, tellStory } from './story.ts';

const type = (name: string) => `urn:ietf:params:oauth:token-type:${name}`;
const api = 'spiffe://mintmark.test/cluster/ns/payments/sa/api';

const document = (kind: string, name: string, spec: object) => ({
  apiVersion: 'mintmark/v1',
  kind,
  metadata: { name },
  spec,
});

let story: Awaited<ReturnType<typeof tellStory>>;
let house: TestHouse;
beforeAll(async () => {
  story = await tellStory();
  house = await openHouse([
    ...story.documents,
    document('Resource', 'mesh', {
      audience: 'mesh',
      scopes: ['call'],
      tokenLifetime: '5m',
      tokenFormats: ['access_token', 'jwt-svid'],
    }),
    document('Resource', 'rsa', { audience: 'rsa', signingAlg: 'PS256', tokenFormats: ['jwt-svid'] }),
    document('Grant', 'mesh', {
      subjects: [{ issuer: 'cluster' }, { spiffeId: orders }],
      resource: 'mesh',
      scopes: ['call'],
      defaultScopes: ['call'],
      maxTokenLifetime: '2m',
      claims: { set: { tenant: 'acme' } },
    }),
    document('Grant', 'rsa', { subjects: [{ issuer: 'cluster' }], resource: 'rsa' }),
  ]);
});
afterAll(() => house.close());

const exchange = async (form: Record<string, string> = {}, headers = {}) =>
  postForm(
    house.app,
    {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: await story.platformToken(),
      subject_token_type: type('jwt'),
      requested_token_type: type('jwt'),
      audience: 'mesh',
      ...form,
    },
    headers,
  );
const agentless = async (body: object) =>
  house.app.inject({
    method: 'POST',
    url: '/api/v1/token',
    remoteAddress: newAddress(),
    headers: { authorization: await story.platformToken() },
    payload: body,
  });
const read = async (url: string): Promise<JSONWebKeySet & Record<string, unknown>> =>
  (await house.app.inject({ url })).json();
const refusalOf = async (response: Awaited<ReturnType<typeof exchange>>) => {
  const { error, request_id } = response.json();
  return [response.statusCode, error, (await house.eventOf(request_id)).reason];
};

describe('a JWT-SVID', () => {
  it('is given by a token exchange for …:jwt, as RFC 8693 names what is no access token', async () => {
    const response = await exchange();
    expect(response.json()).toEqual({
      access_token: expect.any(String),
      issued_token_type: type('jwt'),
      token_type: 'N_A',
      expires_in: 120,
    });
    const svid = response.json().access_token;
    const { kid, ...header } = decodeProtectedHeader(svid);
    expect(header).toEqual({ alg: 'ES256', typ: 'JWT' });
    expect(kid).toEqual(expect.any(String));
    expect(decodeJwt(svid)).toEqual({
      sub: api,
      aud: ['mesh'],
      iat: testNowSeconds,
      exp: testNowSeconds + 120,
      jti: expect.any(String),
      tenant: 'acme',
    });
    const event = await house.eventOf(String(response.headers['x-request-id']));
    expect(event).toMatchObject({
      outcome: 'permitted',
      requested_format: 'jwt-svid',
      kid,
      jti: decodeJwt(svid).jti,
      scopes: [],
    });
  });

  it('is given by one fetch', async () => {
    const response = await agentless({ audience: 'mesh', token_type: 'jwt-svid' });
    expect(response.json()).toMatchObject({ issued_token_type: type('jwt'), token_type: 'N_A' });
    const plain = await agentless({ audience: 'mesh', token_type: 'access_token' });
    expect(plain.json()).toMatchObject({ token_type: 'Bearer', scope: 'call' });
    expect(plain.json()).not.toHaveProperty('issued_token_type');
  });

  it.each([
    ['ES256', 'mesh'],
    ['PS256', 'rsa'],
  ])(
    'is signed with %s by keys of the bundle, which no access token is ever signed with',
    async (alg, audience) => {
      const svid = (await exchange({ audience })).json().access_token;
      const [bundle, jwks] = [await read('/spiffe/bundle.json'), await read('/.well-known/jwks.json')];
      const options = { audience, currentDate: new Date(testNowMillis), typ: 'JWT' };
      const { protectedHeader } = await jwtVerify(svid, createLocalJWKSet(asJose(bundle)), options);
      expect(protectedHeader.alg).toBe(alg);
      const ours = new Set(jwks.keys.map(({ kid }) => kid));
      expect(bundle.keys.length).toBeGreaterThan(1);
      expect(bundle.keys.filter(({ kid }) => ours.has(kid))).toEqual([]);
      expect(jwks.keys.every(({ use }) => use === 'sig')).toBe(true);
      await expect(jwtVerify(svid, createLocalJWKSet(jwks), options)).rejects.toThrow('no applicable key');
      const accessToken = (await exchange({ requested_token_type: type('access_token') })).json()
        .access_token;
      await expect(jwtVerify(accessToken, createLocalJWKSet(asJose(bundle)))).rejects.toThrow(
        'no applicable key',
      );
    },
  );

  it('is accepted by another verifier of SPIFFE, for its audience alone', async () => {
    const svid = (await exchange()).json().access_token;
    const bundle = await read('/spiffe/bundle.json');
    const domain = { name: 'mintmark.test', bundle: { static: bundle as ReturnType<typeof bundleOf> } };
    const accept = (audiences: string[]) => verifierFor(makeDomain({ ...domain, audiences }));
    expect(await accept(['mesh'])(svid, 'client_assertion')).toMatchObject({ spiffeId: api });
    await expect(accept(['alpha'])(svid)).rejects.toMatchObject({ reason: 'credential.audience_mismatch' });
  });

  it('is no credential at our own door, where nobody vouches for our trust domain', async () => {
    const svid = (await exchange()).json().access_token;
    const back = await exchange({ subject_token: svid, audience: 'mesh' });
    expect(await refusalOf(back)).toEqual([400, 'invalid_request', 'credential.unknown_trust_domain']);
  });
});

describe('no JWT-SVID is given', () => {
  it('where the Resource has none', async () => {
    const response = await exchange({ audience: 'alpha' });
    expect(await refusalOf(response)).toEqual([400, 'invalid_request', 'policy.token_format_not_permitted']);
    expect(response.json().error_description).toBe(
      'A token of the requested type cannot be given for this request.',
    );
    const access = await exchange({ audience: 'rsa', requested_token_type: type('access_token') });
    expect(await refusalOf(access)).toEqual([400, 'invalid_request', 'policy.token_format_not_permitted']);
  });

  it('to an identity of another trust domain', async () => {
    const response = await exchange({ subject_token: await story.svid() });
    expect(await refusalOf(response)).toEqual([400, 'invalid_request', 'policy.foreign_trust_domain']);
    const access = { subject_token: await story.svid(), requested_token_type: type('access_token') };
    expect((await exchange(access)).statusCode).toBe(200);
  });

  it('with scopes, which it would not carry', async () => {
    const response = await exchange({ scope: 'call' });
    expect(await refusalOf(response)).toEqual([400, 'invalid_scope', 'request.svid_with_scope']);
    const fetched = await agentless({ audience: 'mesh', token_type: 'jwt-svid', scope: ['call'] });
    expect(await refusalOf(fetched)).toEqual([400, 'invalid_scope', 'request.svid_with_scope']);
  });

  it('with a DPoP proof, to which it would not be bound', async () => {
    const key = await makeKey('client');
    const prove = async (claims = {}) => ({ dpop: await makeProof(key, testTokenEndpoint, claims) });
    const { headers } = await exchange({}, await prove());
    const response = await exchange({}, await prove({ nonce: headers['dpop-nonce'] }));
    expect(await refusalOf(response)).toEqual([400, 'invalid_request', 'request.format_not_bound']);
    const event = await house.eventOf(response.json().request_id);
    expect(event).toMatchObject({
      identity: api,
      resource: 'mesh',
      requested_format: 'jwt',
      proof: 'dpop',
    });
    const payload = {
      spiffe_id: api,
      request: { audience: 'mesh', token_format: 'jwt-svid', proof: 'dpop' },
    };
    const explained = await callAdmin(house.app, '/explain', { method: 'POST', payload });
    expect(explained.json()).toMatchObject({ outcome: 'refused', reason: 'request.format_not_bound' });
  });

  it('at our admin API: it is no access token there', async () => {
    const svid = (await exchange()).json().access_token;
    const response = await house.app.inject({
      url: '/admin/v1/policy',
      headers: { authorization: `Bearer ${svid}` },
    });
    expect(response.statusCode).toBe(401);
    const event = await house.eventOf(String(response.headers['x-request-id']));
    expect(event.reason).toBe('token.type_mismatch');
  });
});

describe('explain', () => {
  it('says of a JWT-SVID what the exchange says', async () => {
    const ask = async (request: object) => {
      const response = await callAdmin(house.app, '/explain', {
        method: 'POST',
        payload: { issuer: 'cluster', claims: kubernetesClaims(clusterIssuer, testIssuer), request },
      });
      return response.json();
    };
    expect(await ask({ audience: 'mesh', token_format: 'jwt-svid' })).toMatchObject({
      outcome: 'permitted',
      scopes: [],
      lifetime_seconds: 120,
    });
    expect(await ask({ audience: 'mesh' })).toMatchObject({ outcome: 'permitted', scopes: ['call'] });
    expect(await ask({ audience: 'alpha', token_format: 'jwt-svid' })).toMatchObject({
      outcome: 'refused',
      reason: 'policy.token_format_not_permitted',
      detail: 'token.format: expected access_token, actual jwt-svid',
    });
  });
});

describe('the bundle', () => {
  it('says what SPIFFE wants of it, and may be cached', async () => {
    const response = await house.app.inject({ url: '/spiffe/bundle.json' });
    expect(response.headers).toMatchObject({
      'content-type': expect.stringContaining('application/json'),
      'cache-control': 'public, max-age=300',
    });
    const bundle = response.json();
    expect(bundle).toMatchObject({ spiffe_refresh_hint: 300, spiffe_sequence: testNowMillis });
    for (const key of bundle.keys) {
      expect(key).toMatchObject({ use: 'jwt-svid', kid: expect.any(String), kty: expect.any(String) });
      for (const member of ['d', 'p', 'x5c']) expect(key).not.toHaveProperty(member);
    }
    const etag = String(response.headers.etag);
    const again = await house.app.inject({ url: '/spiffe/bundle.json', headers: { 'if-none-match': etag } });
    expect(again.statusCode).toBe(304);
  });

  it('trusts nobody while no Resource has JWT-SVIDs', async () => {
    const plain = await openHouse(story.documents);
    try {
      const response = await plain.app.inject({ url: '/spiffe/bundle.json' });
      expect([response.statusCode, response.json()]).toEqual([
        200,
        { keys: [], spiffe_sequence: 0, spiffe_refresh_hint: 300 },
      ]);
    } finally {
      await plain.close();
    }
  });
});

/** jose takes keys whose `use` is `sig` alone. */
function asJose({ keys }: JSONWebKeySet): JSONWebKeySet {
  return { keys: keys.map(({ use: _use, ...key }) => key) };
}

it('is explained as it is given, to a client that comes with a subject token of its own', async () => {
  const client = {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await story.platformToken(),
  };
  expect((await exchange(client)).statusCode).toBe(200);
  const payload = {
    spiffe_id: api,
    subject: { spiffe_id: api },
    request: { audience: 'mesh', token_format: 'jwt-svid' },
  };
  const ask = async (question: object) =>
    (await callAdmin(house.app, '/explain', { method: 'POST', payload: question })).json();
  expect(await ask(payload)).toMatchObject({ outcome: 'permitted' });
  // One that we minted makes it a delegation, for whose token a JWT-SVID could not stand.
  expect(await ask({ ...payload, subject: { spiffe_id: api, scope: '' } })).toMatchObject({
    reason: 'policy.svid_for_another',
  });
});

it('has a key that no revocation reaches, since others verify it: whoever tries is told what does', async () => {
  const { kid } = decodeProtectedHeader((await exchange()).json().access_token);
  const response = await callAdmin(house.app, '/revocations', { method: 'POST', payload: { key: kid } });
  expect([response.statusCode, response.json().detail]).toEqual([
    400,
    'key: signs JWT-SVIDs, which others verify: take it out of the bundle by POST /admin/v1/keys/{kid}/revoke',
  ]);
  expect((await callAdmin(house.app, '/revocations')).json()).toEqual({ revocations: [] });
});
