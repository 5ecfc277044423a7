/** Tokens that are bound to a key or a certificate: at a proxy they need the proof of the request that it asks about. */
import Fastify from 'fastify';
import { afterAll, describe, expect, it } from 'vitest';
import { createForwardAuth } from '../../../src/core/forward-auth.ts';
import { proveIdentity } from '../../../src/core/identity.ts';
import type { PublicJwk } from '../../../src/core/ports.ts';
import { createRevocationSet } from '../../../src/core/revocation.ts';
import { thumbprintOf } from '../../../src/core/token-binding.ts';
import { createVerifyDpop } from '../../../src/credentials/dpop.ts';
import { createVerifyOwnToken } from '../../../src/credentials/own-token.ts';
import { forwardAuthRoutes } from '../../../src/http/forward-auth/routes.ts';
import { forwardAuthPrefix, routeForwardAuth } from '../../../src/http/forward-auth/target.ts';
import { athOf, makeProof, thumbprintOfKey } from '../../support/dpop.ts';
import { revocationAt } from '../../support/revocations.ts';
import { issue, leafExtensions, makeRoot } from '../../support/svid-authority.ts';
import { makeKey, signToken, testNowMillis, testNowSeconds } from '../../support/tokens.ts';
import { compileText, context, exampleText, identity } from '../../unit/policy/example-policy.ts';
import { nobody } from './guard.ts';

const proxy = '10.9.0.1';
const audience = 'https://inventory.internal.example';
const subject = 'spiffe://prod.example/orders';
const url = `${audience}/items/7`;

const signingKey = await makeKey('ours');
const key = await makeKey('client');
const otherKey = await makeKey('other');
const root = await makeRoot(testNowMillis);
const leaf = await issue(testNowMillis, root, { extensions: leafExtensions(subject) });
const otherLeaf = await issue(testNowMillis, root, { extensions: leafExtensions(subject) });

const policy = compileText(exampleText);
const published = { ...signingKey.publicJwk, kid: signingKey.kid, alg: 'ES256', use: 'sig' } as PublicJwk;
const revocations = createRevocationSet();
const claimed = new Set<string>();
let isGuardAway = false;
const reasons: (string | undefined)[] = [];
const app = Fastify({ rewriteUrl: routeForwardAuth });
await app.register(forwardAuthRoutes, {
  prefix: forwardAuthPrefix,
  clock: { now: () => testNowMillis },
  policyBook: { current: () => policy },
  settings: { certificateHeader: 'nginx', isTrustedProxy: (address: string) => address === proxy },
  metrics: { countForwardAuth: (_resource, refusal) => void reasons.push(refusal?.reason) },
  forwardAuthCap: async () => true,
  forwardAuth: createForwardAuth({
    revocations,
    // What becomes of an identity once it is proven; how, is asked in certificates.test.ts.
    verify: async () => proveIdentity(identity(subject, { credentialKind: 'x509-svid' })),
    verifyOwnToken: createVerifyOwnToken({
      issuer: context.issuer,
      keyRing: { publicKeys: () => [published] },
      revocations,
    }),
    verifyDpop: createVerifyDpop({
      replayGuard: {
        claim: async (name) => {
          if (isGuardAway) throw new Error('away');
          return claimed.size < claimed.add(name).size;
        },
      },
    }),
  }),
});
afterAll(() => app.close());

const mint = (cnf?: object) =>
  signToken(
    signingKey,
    {
      iss: context.issuer,
      aud: audience,
      sub: subject,
      client_id: subject,
      jti: crypto.randomUUID(),
      iat: testNowSeconds,
      exp: testNowSeconds + 300,
      scope: 'items:read',
      cnf,
    },
    { typ: 'at+jwt' },
  );
const keyBound = await mint({ jkt: await thumbprintOfKey(key) });
const certificateBound = await mint({ 'x5t#S256': thumbprintOf(leaf.der) });
const unbound = await mint();

const proofFor = (token: string, claims: object = {}, by = key) =>
  makeProof(by, url, { htm: 'PUT', ath: athOf(token), ...claims });
/** As Traefik says what it asks about. */
const traefik = {
  'x-forwarded-method': 'PUT',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'inventory.internal.example',
  'x-forwarded-uri': '/items/7?full=1',
};
const nginx = { 'x-original-method': 'PUT', 'x-original-url': `${url}?full=1` };
const shown = (end: typeof leaf) => ({
  'ssl-client-cert': encodeURIComponent(`${end.certificate.toString('pem')}\n`),
  'ssl-client-verify': 'SUCCESS',
});

async function ask(
  headers: Record<string, string | string[]>,
  { path = '/items:read', remoteAddress = proxy, method = 'GET' } = {},
) {
  const response = await app.inject({
    method: method as 'GET',
    url: `/forward-auth/inventory${path}`,
    remoteAddress,
    headers,
  });
  const challenge = response.headers['www-authenticate'];
  const spiffeId = response.headers['x-spiffe-id'];
  return { status: response.statusCode, reason: reasons.at(-1), challenge, spiffeId };
}
const withProof = async (more: Record<string, string | string[]>, claims: object = {}) => ({
  authorization: `DPoP ${keyBound}`,
  dpop: await proofFor(keyBound, claims),
  ...more,
});
const passes = { status: 200, reason: undefined, spiffeId: subject };
const metadata = `resource_metadata="${audience}/.well-known/oauth-protected-resource"`;

describe('a token that is bound to a key', () => {
  it('passes with the proof of the request that the proxy asks about', async () => {
    expect(await ask(await withProof(traefik))).toMatchObject(passes);
    expect(await ask(await withProof(nginx))).toMatchObject(passes);
    expect(await ask(await withProof({ ...nginx, ...traefik }))).toMatchObject(passes);
    const envoy = { host: 'inventory.internal.example', 'x-forwarded-proto': 'https' };
    const appended = { path: '/items:read/items/7?full=1', method: 'PUT' };
    expect(await ask(await withProof(envoy), appended)).toMatchObject(passes);
  });

  it.each<[string, Record<string, string>]>([
    ['the URL, as nginx would', { 'x-original-url': url }],
    [
      'the URL, as Traefik would',
      { 'x-forwarded-host': 'inventory.internal.example', 'x-forwarded-uri': '/items/7' },
    ],
    ['the method', { 'x-original-method': 'PUT' }],
  ])('is refused where a client of Envoy writes %s of another request', async (what, written) => {
    const isMethod = what === 'the method';
    const envoy = { host: 'inventory.internal.example', 'x-forwarded-proto': 'https', ...written };
    const path = `/items:read/items/${isMethod ? 7 : 8}`;
    const answer = await ask(await withProof(envoy), { path, method: isMethod ? 'DELETE' : 'PUT' });
    expect(answer).toMatchObject({ status: 401, reason: 'dpop.request_unknown', spiffeId: '' });
  });

  it('is refused as a bearer token, with and without its proof', async () => {
    const headers = await withProof(traefik);
    for (const dpop of [headers.dpop, '']) {
      const answer = await ask({ ...headers, dpop, authorization: `Bearer ${keyBound}` });
      expect(answer).toMatchObject({
        status: 401,
        reason: 'token.binding_scheme',
        spiffeId: '',
        challenge: expect.stringMatching(/^DPoP .*error="invalid_token", algs="[A-Za-z0-9 ]+"$/),
      });
    }
  });

  it('is refused without a proof', async () => {
    expect(await ask({ ...traefik, authorization: `DPoP ${keyBound}` })).toMatchObject({
      status: 401,
      reason: 'token.binding_missing',
      challenge: expect.stringMatching(/^DPoP .*error="invalid_token"/),
    });
  });

  it.each<[string, object, string]>([
    ['another method', { htm: 'GET' }, 'dpop.method_mismatch'],
    ['another URL', { htu: `${audience}/items/8` }, 'dpop.url_mismatch'],
    ['our own URL', { htu: 'https://sts.example/forward-auth/inventory/items:read' }, 'dpop.url_mismatch'],
    ['another token', { ath: athOf('a.b.c') }, 'dpop.token_mismatch'],
    ['another time', { iat: testNowSeconds - 61 }, 'dpop.not_fresh'],
  ])('is refused with a proof for %s', async (_what, claims, reason) => {
    expect(await ask(await withProof(traefik, claims))).toMatchObject({
      status: 401,
      reason,
      spiffeId: '',
      challenge: expect.stringMatching(/^DPoP .*error="invalid_dpop_proof", algs="/),
    });
  });

  it('is refused with the proof of another key, and with a proof that was used', async () => {
    const dpop = await proofFor(keyBound, {}, otherKey);
    expect(await ask({ ...traefik, authorization: `DPoP ${keyBound}`, dpop })).toMatchObject({
      status: 401,
      reason: 'token.binding_mismatch',
    });
    const headers = await withProof(traefik);
    expect(await ask(headers)).toMatchObject(passes);
    expect(await ask(headers)).toMatchObject({ status: 401, reason: 'dpop.replayed' });
  });

  it('is refused with two proofs', async () => {
    const proof = await proofFor(keyBound);
    const headers = { ...traefik, authorization: `DPoP ${keyBound}`, dpop: [proof, proof] };
    expect(await ask(headers)).toMatchObject({ status: 401, reason: 'dpop.malformed' });
  });

  it('is refused with 403 where nobody can know whether the proof was used', async () => {
    const headers = await withProof(traefik);
    isGuardAway = true;
    const answer = await ask(headers);
    isGuardAway = false;
    expect(answer).toMatchObject({ status: 403, reason: 'server.replay_guard_unavailable', spiffeId: '' });
    expect(await ask(headers)).toMatchObject(passes);
  });
});

describe('the request that the proxy asks about', () => {
  const unknown = {
    status: 401,
    reason: 'dpop.request_unknown',
    challenge: expect.stringContaining('error="invalid_dpop_proof"'),
  };

  it('is whatever a stranger says it is: nothing', async () => {
    expect(await ask(await withProof(traefik), { remoteAddress: '10.8.0.1' })).toMatchObject(unknown);
    expect(
      await ask(await withProof({ ...traefik, 'x-forwarded-for': proxy }), { remoteAddress: '10.8.0.1' }),
    ).toMatchObject(unknown);
  });

  it.each<[string, Record<string, string | string[]>]>([
    ['no URL', { 'x-forwarded-method': 'PUT' }],
    ['no scheme', { ...traefik, 'x-forwarded-proto': [] }],
    ['two schemes', { ...traefik, 'x-forwarded-proto': 'https,http' }],
    ['a path as URL', { ...nginx, 'x-original-url': '/items/7' }],
    ['two URLs', { ...traefik, 'x-original-url': `${audience}/items/8` }],
    ['two methods', { ...traefik, 'x-original-method': 'GET' }],
    ['a user in the host', { ...traefik, 'x-forwarded-host': 'inventory.internal.example@evil.test' }],
  ])('is unknown with %s', async (_what, headers) => {
    expect(await ask(await withProof(headers))).toMatchObject(unknown);
  });

  it('matters to no token that is bound to no key', async () => {
    expect(await ask({ authorization: `Bearer ${unbound}` }, { remoteAddress: '10.8.0.1' })).toMatchObject(
      passes,
    );
    const strange = { ...traefik, 'x-original-method': 'GET', dpop: 'x' };
    expect(await ask({ ...strange, authorization: `Bearer ${unbound}` })).toMatchObject(passes);
  });
});

it('refuses an unbound token that is sent as if it were bound', async () => {
  const headers = { ...traefik, authorization: `DPoP ${unbound}`, dpop: await proofFor(unbound) };
  expect(await ask(headers)).toMatchObject({
    status: 401,
    reason: 'token.binding_scheme',
    challenge: `Bearer ${metadata}, scope="items:read", error="invalid_token"`,
  });
});

it('asks for DPoP again where a bound token lacks a scope', async () => {
  expect(await ask(await withProof(traefik), { path: '/items:write' })).toMatchObject({
    status: 403,
    reason: 'token.scope_missing',
    challenge: expect.stringMatching(/^DPoP .*scope="items:write", error="insufficient_scope"/),
  });
});

describe('a token that is bound to a certificate', () => {
  const authorization = `Bearer ${certificateBound}`;

  it('passes with it', async () => {
    expect(await ask({ authorization, ...shown(leaf) })).toMatchObject(passes);
  });

  it('is refused without it, with another one, and as a DPoP token', async () => {
    expect(await ask({ authorization })).toMatchObject({ status: 401, reason: 'token.binding_missing' });
    expect(await ask({ authorization, ...shown(otherLeaf) })).toMatchObject({
      status: 401,
      reason: 'token.binding_mismatch',
    });
    expect(await ask({ authorization: `DPoP ${certificateBound}`, ...shown(leaf) })).toMatchObject({
      status: 401,
      reason: 'token.binding_scheme',
    });
  });

  it('is refused where a stranger forwards the certificate', async () => {
    const answer = await ask({ authorization, ...shown(leaf) }, { remoteAddress: '10.8.0.1' });
    expect(answer).toMatchObject({ status: 401, reason: 'request.certificate_header_untrusted' });
  });
});

describe('a revocation', () => {
  it('ends a token at once, and keeps the identity’s certificate out as well', async () => {
    const headers = { authorization: `Bearer ${unbound}` };
    expect(await ask(headers)).toMatchObject(passes);
    expect(await ask(shown(leaf))).toMatchObject(passes);
    const notUntil = testNowMillis + 60_000;
    revocations.add({ id: 1, ...revocationAt(testNowMillis, { target: subject }, notUntil) });
    expect(await ask(headers)).toMatchObject({ status: 401, reason: 'token.revoked', spiffeId: '' });
    expect(await ask(shown(leaf))).toMatchObject({
      status: 403,
      reason: 'policy.identity_revoked',
      spiffeId: '',
    });
  });
});

it('says of nobody who is calling when it refuses', async () => {
  const response = await app.inject({ url: '/forward-auth/inventory', remoteAddress: proxy });
  expect(response.headers).toMatchObject(nobody);
});
