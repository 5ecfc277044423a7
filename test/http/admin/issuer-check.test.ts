/** `/admin/v1/issuers/{name}/check`. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Fastify from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminScopes } from '../../../src/core/policy/admin-resource.ts';
import { v7RequestId } from '../../../src/core/request-id.ts';
import { type Authorize, installAuthorization } from '../../../src/http/admin/authorize.ts';
import { issuerCheckRoutes } from '../../../src/http/admin/issuer-check-routes.ts';
import { newAddress, openHouse, type TestHouse, testAdminToken, testIssuer } from '../../support/house.ts';
import { startIssuerDouble } from '../../support/issuer-double.ts';
import { jwksOf, kubernetesClaims, makeKey, signToken, type TestKey } from '../../support/tokens.ts';
import { callAdmin } from './admin-calls.ts';
import { runCli } from './run-cli.ts';

let house: TestHouse;
let url: string;
let key: TestKey;
beforeAll(async () => {
  key = await makeKey('k1');
  house = await openHouse([
    {
      apiVersion: 'mintmark/v1',
      kind: 'Issuer',
      metadata: { name: 'prod' },
      spec: { platform: 'kubernetes', issuer: 'https://cluster.example', keys: { jwks: jwksOf(key) } },
    },
  ]);
  url = await house.app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(() => house.close());

const check = (name: string, payload: object) =>
  callAdmin(house.app, `/issuers/${name}/check`, { method: 'POST', payload });

it('accepts a genuine token, keeps nothing of it but what an exchange keeps too', async () => {
  const token = await signToken(key, kubernetesClaims('https://cluster.example', testIssuer));
  const response = await check('prod', { token });
  expect(response.statusCode).toBe(200);
  expect(response.headers['cache-control']).toBe('no-store');
  expect(response.json()).toMatchObject({
    verdict: 'accepted',
    spiffe_id: 'spiffe://mintmark.test/prod/ns/payments/sa/api',
    also_accepted_by: [],
  });
  const event = await house.eventOf(String(response.headers['x-request-id']));
  expect(event).toMatchObject({
    action: 'admin.issuer.check',
    outcome: 'permitted',
    summary: 'checked a token against Issuer prod: accepted',
    identity: 'spiffe://mintmark.test/prod/ns/payments/sa/api',
    claims: { 'kubernetes.io.namespace': 'payments', 'kubernetes.io.serviceaccount.name': 'api' },
    credential_hash: createHash('sha256').update(token).digest('base64url'),
  });
  expect(JSON.stringify(event)).not.toContain('api-7d');
  expect(house.log()).not.toContain(token);
});

it('says what is wrong with another, step by step', async () => {
  const token = await signToken(key, kubernetesClaims('https://cluster.example', 'https://else.example'));
  const response = await check('prod', { token });
  expect(response.json()).toMatchObject({ verdict: 'refused', reason: 'credential.audience_mismatch' });
  const failed = response.json().steps.filter(({ ok }: { ok: boolean }) => !ok);
  expect(failed).toEqual([
    { name: 'aud', ok: false, reason: 'credential.audience_mismatch', detail: expect.any(String) },
  ]);
  const event = await house.eventOf(String(response.headers['x-request-id']));
  expect(event).toMatchObject({
    summary: 'checked a token against Issuer prod: refused, credential.audience_mismatch',
  });
  expect(JSON.stringify(event)).not.toContain('else.example');
});

it('answers 404 to an unknown name, 400 to another body and 401 to a stranger', async () => {
  const absent = await check('none', { token: 'x' });
  expect([absent.statusCode, absent.json().type]).toEqual([404, 'urn:mintmark:problem:not-found']);
  const malformed = await check('prod', { tokens: 'x' });
  expect([malformed.statusCode, malformed.json().type]).toEqual([
    400,
    'urn:mintmark:problem:malformed-request',
  ]);
  const stranger = await house.app.inject({
    method: 'POST',
    url: '/admin/v1/issuers/prod/check',
    remoteAddress: newAddress(),
    payload: { token: 'x' },
  });
  expect([stranger.statusCode, stranger.json().type]).toEqual([401, 'urn:mintmark:problem:unauthorized']);
});

it('is a command that ends with 0 for a token that is accepted, and 1 with each failure for another', async () => {
  const environment = { MINTMARK_URL: url, MINTMARK_TOKEN: testAdminToken };
  const run = async (audience: string, ...more: string[]) => {
    const input = await signToken(key, kubernetesClaims('https://cluster.example', audience));
    return runCli(['issuer', 'check', 'prod', '--token', '-', ...more], { environment, input });
  };
  const accepted = await run(testIssuer);
  expect(accepted).toMatchObject({ exitCode: 0, err: '' });
  expect(accepted.out).toMatch(
    /^ok {6}jwt\n(?:.*\n)*accepted: spiffe:\/\/mintmark\.test\/prod\/ns\/payments\/sa\/api\n$/,
  );
  const refused = await run('https://else.example');
  expect(refused).toMatchObject({ exitCode: 1, err: '' });
  expect(refused.out).toMatch(/\nfailed {2}aud: aud: expected "https:\/\/sts\.test".*\n(?:.*\n)*refused: /);
  const json = await run('https://else.example', '--json');
  expect(json.exitCode).toBe(1);
  expect(JSON.parse(json.out)).toMatchObject({ reason: 'credential.audience_mismatch' });
});

describe('a document that is not saved', () => {
  const document = (issuer: string, name = 'new', spec: object = {}) => ({
    apiVersion: 'mintmark/v1',
    kind: 'Issuer',
    metadata: { name },
    spec: { platform: 'kubernetes', issuer, ...spec },
  });

  it('is checked with the keys that it names, and neither is kept', async () => {
    const double = await startIssuerDouble({ keys: jwksOf(key) });
    try {
      const token = await signToken(key, kubernetesClaims(double.url, testIssuer));
      const before = (await callAdmin(house.app, '/policy')).json();
      const ask = () => check('new', { token, document: document(double.url) });
      const response = await ask();
      expect(response.json()).toMatchObject({
        verdict: 'accepted',
        spiffe_id: 'spiffe://mintmark.test/new/ns/payments/sa/api',
      });
      expect(await house.eventOf(String(response.headers['x-request-id']))).toMatchObject({
        summary: 'checked a token against the unsaved Issuer new: accepted',
      });
      expect((await callAdmin(house.app, '/policy')).json()).toEqual(before);
      expect((await check('new', { token })).statusCode).toBe(404);

      double.keys = jwksOf(await makeKey('k2'));
      expect((await ask()).json()).toMatchObject({ verdict: 'refused', reason: 'credential.key_unknown' });
    } finally {
      await double.close();
    }
  });

  it('whose keys cannot be fetched is no fault of the server', async () => {
    const token = await signToken(key, kubernetesClaims('https://10.0.0.1', testIssuer));
    const response = await check('new', { token, document: document('https://10.0.0.1') });
    expect(response.json()).toMatchObject({ verdict: 'refused', reason: 'credential.keys_unavailable' });
  });

  it.each([
    ['mistakes', 'new', document('http://cluster.example'), 422, 'policy-refused'],
    ['another name', 'old', document('https://new.example'), 422, 'policy-refused'],
    ['a file of the server', 'new', reviewing(document('https://new.example')), 422, 'policy-refused'],
    [
      'a name that is managed by file',
      'prod',
      document('https://new.example', 'prod'),
      409,
      'managed-by-file',
    ],
  ])('with %s is refused', async (_name, name, body, status, slug) => {
    const response = await check(name, { token: 'x', document: body });
    expect([response.statusCode, response.json().type]).toEqual([status, `urn:mintmark:problem:${slug}`]);
  });

  function reviewing(body: object): object {
    const tokenReview = { url: 'https://api.example', tokenFile: '/var/run/secrets/token' };
    return { ...body, spec: { ...document('https://new.example').spec, keys: { tokenReview } } };
  }

  it('needs the scope of whoever could save it', async () => {
    const app = Fastify({ genReqId: () => v7RequestId(0) });
    app.setValidatorCompiler(validatorCompiler);
    app.setSerializerCompiler(serializerCompiler);
    const policy = { issuers: new Map() };
    const dependencies = {
      ...({} as Parameters<typeof issuerCheckRoutes>[1]),
      audit: { append: async () => {} },
      clock: { now: () => 0 },
      authenticate: async () => ({ name: 'reader', scopes: new Set(adminScopes) }),
      settings: {
        issuer: testIssuer,
        trustedProxies: [],
        certificateHeader: undefined,
        isTrustedProxy: () => false,
        version: '0',
      },
      policyBook: { refresh: async () => {}, current: () => policy } as never,
    };
    const authorize = installAuthorization(app, dependencies);
    /** Lets a caller in who has what the gate asks for, and nothing more. */
    const narrow: Authorize = (action, ...scopes) =>
      async function (request, reply) {
        await authorize(action, ...scopes).call(this, request, reply);
        request.adminCaller = { name: 'reader', scopes: new Set(scopes) };
      };
    await app.register(issuerCheckRoutes(narrow, dependencies));
    const ask = (payload: object) =>
      app.inject({
        method: 'POST',
        url: '/issuers/new/check',
        headers: { authorization: `Bearer ${testAdminToken}` },
        payload,
      });
    expect((await ask({ token: 'x' })).statusCode).toBe(404);
    const refused = await ask({ token: 'x', document: document('https://new.example') });
    expect(refused.statusCode).toBe(403);
    expect(refused.json()).toMatchObject({ detail: 'This needs the scope policy:admin.' });
    expect(refused.headers['www-authenticate']).toContain('error="insufficient_scope", scope="policy:admin"');
    await app.close();
  });

  it('is read from -f', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mintmark-issuer-check-'));
    const double = await startIssuerDouble({ keys: jwksOf(key) });
    try {
      const path = join(folder, 'issuer.yaml');
      writeFileSync(path, JSON.stringify(document(double.url)));
      const environment = { MINTMARK_URL: url, MINTMARK_TOKEN: testAdminToken };
      const input = await signToken(key, kubernetesClaims(double.url, testIssuer));
      const run = (name: string) =>
        runCli(['issuer', 'check', name, '--token', '-', '-f', path], { environment, input });
      expect(await run('new')).toMatchObject({ exitCode: 0, err: '' });
      expect(await run('other')).toMatchObject({
        exitCode: 1,
        err: 'mintmark: The files of -f hold no Issuer/other.\n',
      });
      const help = await runCli(['issuer', 'check', '--help'], { environment });
      expect(help.out).toContain('The server checks, with -f too');
      writeFileSync(path, JSON.stringify(document('http://cluster.example')));
      const mistaken = await run('new');
      expect(mistaken.exitCode).toBe(1);
      expect(mistaken.err).toMatch(/issuer\.yaml:1: Issuer\/new spec\.issuer: /);
    } finally {
      rmSync(folder, { recursive: true, force: true });
      await double.close();
    }
  });
});
