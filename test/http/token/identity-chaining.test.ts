/** Identity chaining: a grant of ours at another authorization server, which gives its own token for it once. */
import {
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  generateKeyPair,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeProof } from '../../support/dpop.ts';
import {
  newAddress,
  openHouse,
  postForm,
  type TestHouse,
  testIssuer,
  testTokenEndpoint,
} from '../../support/house.ts';
import { makeKey, testNowMillis, testNowSeconds } from '../../support/tokens.ts';
import { orders, tellStory } from './story.ts';

const type = (name: string) => `urn:ietf:params:oauth:token-type:${name}`;
const api = 'spiffe://mintmark.test/cluster/ns/payments/sa/api';
const partner = 'https://as.partner.test';
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
    document('Resource', 'partner', {
      audience: partner,
      scopes: ['read', 'write'],
      tokenLifetime: '5m',
      tokenFormats: ['jwt-grant'],
    }),
    document('Grant', 'api-partner', {
      subjects: [{ issuer: 'cluster' }],
      resource: 'partner',
      scopes: ['read'],
    }),
    document('Grant', 'orders-partner', {
      subjects: [{ spiffeId: orders }],
      resource: 'partner',
      scopes: ['read'],
      delegation: { actFor: [{ issuer: 'cluster' }] },
    }),
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
      audience: partner,
      ...form,
    },
    headers,
  );
const grantFor = async (form: Record<string, string> = {}): Promise<string> =>
  (await exchange(form)).json().access_token;
const reasonOf = async (response: Awaited<ReturnType<typeof exchange>>) => {
  const event = await house.eventOf(String(response.headers['x-request-id']));
  return [response.statusCode, response.json().error, event.reason];
};

/** Trusts us by our discovery document and JWKS, and takes each grant once. */
async function openPartner() {
  const discovery = (await house.app.inject({ url: '/.well-known/oauth-authorization-server' })).json();
  const jwks = (await house.app.inject({ url: new URL(discovery.jwks_uri).pathname })).json();
  const { privateKey } = await generateKeyPair('ES256');
  const taken = new Set<string>();
  return async (assertion: string, nowMillis = testNowMillis): Promise<JWTPayload> => {
    const { payload } = await jwtVerify(assertion, createLocalJWKSet(jwks), {
      issuer: discovery.issuer,
      audience: partner,
      typ: 'JWT',
      currentDate: new Date(nowMillis),
      requiredClaims: ['sub', 'jti', 'exp', 'iat'],
    });
    const { sub = '', jti = '', scope } = payload;
    if (taken.has(jti)) throw new Error('invalid_grant: taken before');
    taken.add(jti);
    const token = await new SignJWT({ scope })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
      .setIssuer(partner)
      .setSubject(sub)
      .sign(privateKey);
    return decodeJwt(token);
  };
}

it('gives a grant for the one server that it is for', async () => {
  const response = await exchange({ scope: 'read' });
  expect(response.json()).toEqual({
    access_token: expect.any(String),
    issued_token_type: type('jwt'),
    token_type: 'N_A',
    expires_in: 300,
    scope: 'read',
  });
  const grant = response.json().access_token;
  expect(decodeProtectedHeader(grant)).toEqual({ alg: 'ES256', typ: 'JWT', kid: expect.any(String) });
  expect(decodeJwt(grant)).toEqual({
    iss: testIssuer,
    sub: api,
    aud: partner,
    iat: testNowSeconds,
    exp: testNowSeconds + 300,
    jti: expect.any(String),
    scope: 'read',
  });
  const event = await house.eventOf(String(response.headers['x-request-id']));
  expect(event).toMatchObject({ outcome: 'permitted', requested_format: 'jwt-grant', scopes: ['read'] });
});

it('names in it who acts for its subject', async () => {
  const grant = await grantFor({
    client_assertion: await story.svid(),
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
  });
  expect(decodeJwt(grant)).toMatchObject({ sub: api, act: { sub: orders } });
});

it('is exchanged by another server, which knows us by what we publish, for its own token', async () => {
  const redeem = await openPartner();
  const grant = await grantFor({ scope: 'read' });
  expect(await redeem(grant)).toMatchObject({ iss: partner, sub: api, scope: 'read' });
  await expect(redeem(grant)).rejects.toThrow('taken before');
  const late = redeem(await grantFor(), testNowMillis + 301_000);
  await expect(late).rejects.toThrow('"exp" claim timestamp check failed');
  const access = await grantFor({ audience: 'alpha', requested_token_type: type('access_token') });
  await expect(redeem(access)).rejects.toThrow('unexpected "typ" JWT header value');
});

it('says that it can, where clients look', async () => {
  const discovery = (await house.app.inject({ url: '/.well-known/oauth-authorization-server' })).json();
  expect(discovery.identity_chaining_requested_token_types_supported).toEqual([type('jwt')]);
});

it.each([
  ['of a Resource without them', { audience: 'alpha' }, 'policy.token_format_not_permitted'],
  ['as an access token', { requested_token_type: type('access_token') }, 'policy.token_format_not_permitted'],
])('gives none %s', async (_case, form, reason) => {
  expect(await reasonOf(await exchange(form))).toEqual([400, 'invalid_request', reason]);
});

it('gives none to who asks for a JWT-SVID by name', async () => {
  const response = await house.app.inject({
    method: 'POST',
    url: '/api/v1/token',
    remoteAddress: newAddress(),
    headers: { authorization: `Bearer ${await story.platformToken()}` },
    payload: { audience: partner, token_type: 'jwt-svid' },
  });
  expect(await reasonOf(response)).toEqual([400, 'invalid_request', 'policy.token_format_not_permitted']);
});

it('gives none with a scope that no grant permits', async () => {
  const refused = [400, 'invalid_scope', 'policy.scope_not_permitted'];
  expect(await reasonOf(await exchange({ scope: 'write' }))).toEqual(refused);
});

it('gives none with a DPoP proof, to which it would not be bound', async () => {
  const key = await makeKey('client');
  const prove = async (claims = {}) => ({ dpop: await makeProof(key, testTokenEndpoint, claims) });
  const { headers } = await exchange({}, await prove());
  const response = await exchange({}, await prove({ nonce: headers['dpop-nonce'] }));
  expect(await reasonOf(response)).toEqual([400, 'invalid_request', 'request.format_not_bound']);
});

it('takes none back, as a credential or as an access token', async () => {
  const grant = await grantFor();
  const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
  const asAssertion = await postForm(house.app, {
    grant_type: jwtBearer,
    assertion: grant,
    audience: 'alpha',
  });
  expect(await reasonOf(asAssertion)).toEqual([400, 'invalid_grant', 'credential.unknown_issuer']);
  const asSubject = await exchange({
    subject_token: grant,
    client_assertion: await story.svid(),
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
  });
  expect(await reasonOf(asSubject)).toEqual([400, 'invalid_request', 'token.type_mismatch']);
  const authorization = `Bearer ${grant}`;
  const asBearer = await house.app.inject({ url: '/admin/v1/policy', headers: { authorization } });
  expect(asBearer.statusCode).toBe(401);
  const event = await house.eventOf(String(asBearer.headers['x-request-id']));
  expect(event.reason).toBe('token.type_mismatch');
});
