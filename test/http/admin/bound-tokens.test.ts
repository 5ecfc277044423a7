/** Admin tokens that are bound to a key or a certificate, at the admin API: real proofs, real handshakes. */

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signingAlgorithms } from '../../../src/core/algorithm.ts';
import { athOf, dpopChallenge, makeProof } from '../../support/dpop.ts';
import {
  newAddress,
  openHouse,
  postForm,
  type TestHouse,
  testAdminToken,
  testIssuer,
  testTokenEndpoint,
} from '../../support/house.ts';
import { makeAuthority } from '../../support/issuer-double-tls.ts';
import {
  type Issued,
  issue,
  leafExtensions,
  makeRoot,
  pemOf,
  rootJwk,
} from '../../support/svid-authority.ts';
import { openTls, postOver } from '../../support/tls-client.ts';
import { bundleOf, type Claims, makeKey, testNowMillis as now } from '../../support/tokens.ts';
import { orders, tellStory } from '../token/story.ts';

const folder = mkdtempSync(join(tmpdir(), 'mintmark-bound-'));
const key = await makeKey('admin');
const thief = await makeKey('thief');
const statusUrl = `${testIssuer}/admin/v1/status`;
const audience = `${testIssuer}/admin/v1`;
const metadata = `resource_metadata="${testIssuer}/.well-known/oauth-protected-resource/admin/v1"`;
let house: TestHouse;
let story: Awaited<ReturnType<typeof tellStory>>;
let ca: string;
let leaf: Issued;
let otherLeaf: Issued;
let nonce: string;
let token: string;

const document = (kind: string, name: string, spec: object) => ({
  apiVersion: 'mintmark/v1',
  kind,
  metadata: { name },
  spec,
});

beforeAll(async () => {
  const server = await makeAuthority();
  ca = server.certificate;
  const pair = await server.issue('localhost');
  writeFileSync(join(folder, 'cert.pem'), pair.cert);
  writeFileSync(join(folder, 'key.pem'), pair.key);
  story = await tellStory();
  const root = await makeRoot(now);
  [leaf, otherLeaf] = await Promise.all([
    issue(now, root, { extensions: leafExtensions(orders) }),
    issue(now, root, { extensions: leafExtensions(orders) }),
  ]);
  house = await openHouse(
    [
      ...story.documents.filter(({ kind }) => kind !== 'TrustDomain'),
      document('TrustDomain', 'prod.test', {
        bundle: { static: { keys: [...bundleOf(story.domainKey).keys, rootJwk(root)] } },
      }),
      document('Grant', 'orders-admin', {
        subjects: [{ spiffeId: orders }],
        resource: 'mintmark-admin',
        scopes: ['status:read'],
      }),
      document('Resource', 'certified', { audience: 'certified', proof: 'mtls', tokenLifetime: '1h' }),
      document('Grant', 'orders-certified', { subjects: [{ spiffeId: orders }], resource: 'certified' }),
    ],
    { MINTMARK_TLS_CERT: join(folder, 'cert.pem'), MINTMARK_TLS_KEY: join(folder, 'key.pem') },
  );
  await house.app.listen({ host: '127.0.0.1', port: 0 });
  const form = {
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
    client_assertion: await story.svid(),
    audience,
    scope: 'status:read',
  };
  const first = await postForm(house.app, form, { dpop: await makeProof(key, testTokenEndpoint) });
  nonce = String(first.headers['dpop-nonce']);
  const proof = await makeProof(key, testTokenEndpoint, { nonce });
  token = (await postForm(house.app, form, { dpop: proof })).json().access_token;
});
afterAll(async () => {
  await house.close();
  rmSync(folder, { recursive: true });
});

const status = (headers: Record<string, string>, url = '/admin/v1/status') =>
  house.app.inject({ url, remoteAddress: newAddress(), headers });
const proofWith = (claims: Claims = {}, by = key) =>
  makeProof(by, statusUrl, { htm: 'GET', nonce, ath: athOf(token), ...claims });

describe('a token that is bound to a key', () => {
  it('is taken with a proof of that key for this very request', async () => {
    const response = await status({ authorization: `DPoP ${token}`, dpop: await proofWith() });
    expect(response.statusCode).toBe(200);
    expect(response.headers['dpop-nonce']).toBe(nonce);
  });

  it('is taken whatever the query says', async () => {
    const dpop = await proofWith();
    expect((await status({ authorization: `dpop ${token}`, dpop }, '/admin/v1/status?a=b')).statusCode).toBe(
      200,
    );
  });

  it('is refused without a nonce of ours, which it is given', async () => {
    const dpop = await proofWith({ nonce: undefined });
    const response = await status({ authorization: `DPoP ${token}`, dpop });
    expect(response.statusCode).toBe(401);
    expect(response.headers['www-authenticate']).toBe(
      `DPoP ${metadata}, error="use_dpop_nonce", algs="${signingAlgorithms.join(' ')}"`,
    );
    expect(response.headers['dpop-nonce']).toBe(nonce);
  });

  it('is refused as a bearer token, beside a proof or not', async () => {
    for (const headers of [{}, { dpop: await proofWith() }]) {
      const response = await status({ authorization: `Bearer ${token}`, ...headers });
      expect(response.statusCode).toBe(401);
      expect(response.headers['www-authenticate']).toBe(
        `Bearer ${metadata}, error="invalid_token", ${dpopChallenge}`,
      );
      expect(await house.eventOf(response.json().request_id)).toMatchObject({
        reason: 'token.binding_scheme',
      });
    }
  });

  it.each<[string, string, string, () => Promise<string | undefined>]>([
    ['no proof', 'dpop.proof_missing', 'invalid_dpop_proof', async () => undefined],
    ['another key', 'token.binding_mismatch', 'invalid_token', () => proofWith({}, thief)],
    ['another token', 'dpop.token_mismatch', 'invalid_dpop_proof', () => proofWith({ ath: athOf('a.b.c') })],
    ['no token', 'dpop.token_mismatch', 'invalid_dpop_proof', () => proofWith({ ath: undefined })],
    ['another method', 'dpop.method_mismatch', 'invalid_dpop_proof', () => proofWith({ htm: 'POST' })],
    [
      'another path',
      'dpop.url_mismatch',
      'invalid_dpop_proof',
      () => proofWith({ htu: `${audience}/policy` }),
    ],
  ])('is refused with a proof of %s', async (_, reason, error, makeIt) => {
    const dpop = await makeIt();
    const response = await status({ authorization: `DPoP ${token}`, ...(dpop && { dpop }) });
    expect(response.statusCode).toBe(401);
    expect(response.headers['www-authenticate']).toContain(`error="${error}"`);
    expect(await house.eventOf(response.json().request_id)).toMatchObject({ reason, error_code: error });
  });
});

describe('a token that is bound to nothing', () => {
  it('is refused under the scheme DPoP', async () => {
    const form = {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
      client_assertion: await story.svid(),
      audience,
      scope: 'status:read',
    };
    const bearer = (await postForm(house.app, form)).json().access_token;
    expect((await status({ authorization: `Bearer ${bearer}` })).statusCode).toBe(200);
    const dpop = await proofWith({ ath: athOf(bearer) });
    const response = await status({ authorization: `DPoP ${bearer}`, dpop });
    expect(response.statusCode).toBe(401);
    expect(await house.eventOf(response.json().request_id)).toMatchObject({ reason: 'token.binding_scheme' });
  });

  it('is refused so where it is the bootstrap token', async () => {
    const response = await status({ authorization: `DPoP ${testAdminToken}`, dpop: await proofWith() });
    expect(response.statusCode).toBe(401);
    expect(await house.eventOf(response.json().request_id)).toMatchObject({ reason: 'admin.token_refused' });
  });
});

describe('a client certificate', () => {
  const showing = async (shown: Issued) => ({ ca, ...(await pemOf([shown])) });
  const withCertificate = { grant_type: 'client_credentials', client_id: orders, audience };
  const asserted = async () => ({
    ...withCertificate,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
    client_assertion: await story.svid(),
  });
  const ask = async (shown: Issued, form: Record<string, string>, headers = {}) =>
    postOver(await openTls(house.app, await showing(shown)), form, true, headers);

  async function statusOver(shown: Issued | undefined, bearer: string) {
    const socket = await openTls(house.app, shown ? await showing(shown) : { ca });
    const call = httpsRequest({
      createConnection: () => socket,
      host: 'localhost',
      path: '/admin/v1/status',
      headers: { authorization: `Bearer ${bearer}`, connection: 'close' },
    });
    call.end();
    const [response] = await once(call, 'response');
    return { status: response.statusCode, body: JSON.parse(await text(response)) };
  }

  it('that authenticates its client binds the token, which needs it again', async () => {
    const { body } = await ask(leaf, { ...withCertificate, scope: 'status:read' });
    const bound = String(body.access_token);
    expect(body.token_type).toBe('Bearer');
    const thumbprint = athOf(leaf.der);
    expect(decodeJwt(bound).cnf).toEqual({ 'x5t#S256': thumbprint });
    expect((await statusOver(leaf, bound)).status).toBe(200);
    for (const [shown, reason] of [
      [otherLeaf, 'token.binding_mismatch'],
      [undefined, 'token.binding_missing'],
    ] as const) {
      const refused = await statusOver(shown, bound);
      expect(refused.status).toBe(401);
      expect(await house.eventOf(refused.body.request_id)).toMatchObject({
        reason,
        error_code: 'invalid_token',
      });
    }
  });

  it('beside an assertion binds only where the resource wants it, and ends the token with itself', async () => {
    const plain = await ask(leaf, { ...(await asserted()), audience: 'alpha' });
    expect(decodeJwt(String(plain.body.access_token))).not.toHaveProperty('cnf');

    const short = await issue(now, undefined, { extensions: [], notAfter: now + 90_000 });
    const bound = await ask(short, { ...(await asserted()), audience: 'certified' });
    expect([bound.status, bound.body.expires_in]).toEqual([200, 90]);
    expect(decodeJwt(String(bound.body.access_token)).cnf).toEqual({
      'x5t#S256': athOf(short.der),
    });
  });

  it('that is over binds nothing', async () => {
    const old = await issue(now, undefined, { extensions: [], notAfter: now });
    const { status: code, body } = await ask(old, { ...(await asserted()), audience: 'certified' });
    expect([code, body.error]).toEqual([400, 'invalid_request']);
    expect(await house.eventOf(String(body.request_id))).toMatchObject({
      reason: 'policy.certificate_required',
    });
  });

  it('does not count beside a DPoP proof', async () => {
    const proof = { dpop: await makeProof(key, testTokenEndpoint, { nonce }) };
    const { body } = await ask(leaf, { ...withCertificate, scope: 'status:read' }, proof);
    expect(body.token_type).toBe('DPoP');
    expect(decodeJwt(String(body.access_token)).cnf).toEqual(decodeJwt(token).cnf);
    const again = { dpop: await makeProof(key, testTokenEndpoint, { nonce }) };
    const refused = await ask(leaf, { ...(await asserted()), audience: 'certified' }, again);
    expect([refused.status, refused.body.error]).toEqual([400, 'invalid_request']);
  });
});
