/** `PUT /admin/v1/issuers/{name}/jwks`: who may push, what may be pushed, and what is left of it. */
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { newAddress, openHouse, type TestHouse, testIssuer } from '../../support/house.ts';
import {
  type Claims,
  jwksOf,
  kubernetesClaims,
  makeKey,
  signToken,
  type TestKey,
  testNowMillis,
  times,
} from '../../support/tokens.ts';
import { callAdmin, putPolicy } from './admin-calls.ts';

const issuerUrl = 'https://kubernetes.default.svc.cluster.local';
const pusherPath = '/prod/ns/mintmark/sa/jwks-push';
const pusherId = `spiffe://mintmark.test${pusherPath}`;

const cluster = (key: TestKey, keys: object = {}, name = 'prod') => ({
  apiVersion: 'mintmark/v1',
  kind: 'Issuer',
  metadata: { name, labels: { team: 'platform' } },
  spec: { platform: 'kubernetes', issuer: issuerUrl, keys: { jwks: jwksOf(key), ...keys } },
});

let house: TestHouse;
let old: TestKey;
let next: TestKey;
let filed: TestKey;
beforeAll(async () => {
  [old, next, filed] = await Promise.all([makeKey('old'), makeKey('next'), makeKey('filed')]);
  house = await openHouse([cluster(filed, { pushedBy: '/filed/ns/mintmark/sa/jwks-push' }, 'filed')]);
});
afterAll(() => house.close());
beforeEach(async () => {
  house.clock.set(testNowMillis);
  const written = await putPolicy(house.app, [cluster(old, { pushedBy: pusherPath })]);
  expect(written.statusCode).toBe(200);
});

const tokenOf = (
  key = old,
  claims: Claims = {},
  audience: string | string[] = testIssuer,
  account = 'jwks-push',
) => {
  const details = { namespace: 'mintmark', serviceaccount: { name: account, uid: 'u-1' } };
  const sub = `system:serviceaccount:mintmark:${account}`;
  return signToken(key, kubernetesClaims(issuerUrl, audience, { sub, 'kubernetes.io': details, ...claims }));
};

const push = (token: string | undefined, payload: unknown, name = 'prod', remoteAddress = newAddress()) =>
  house.app.inject({
    method: 'PUT',
    url: `/admin/v1/issuers/${name}/jwks`,
    remoteAddress,
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    payload: JSON.stringify(payload),
  });
const pushKeys = async (...keys: TestKey[]) => push(await tokenOf(), jwksOf(...keys));
const inForce = async () => (await callAdmin(house.app, '/issuers/prod')).json();
const eventOf = (response: LightMyRequestResponse) => house.eventOf(String(response.headers['x-request-id']));
const said = (response: LightMyRequestResponse) => [response.statusCode, response.json().type];

describe('a push', () => {
  it('replaces the keys and nothing else, as a revision of its own, audited as who pushed', async () => {
    const before = (await callAdmin(house.app, '/policy')).json();
    const token = await tokenOf();
    const response = await push(token, jwksOf(old, next));
    expect(response.statusCode).toBe(200);
    expect(response.headers['cache-control']).toBe('no-store');
    const asOf = new Date(testNowMillis).toISOString();
    expect(response.json()).toEqual({ revision: before.revision + 1, changed: true, as_of: asOf });
    const document = await inForce();
    expect(document.spec.keys.jwks.keys.map(({ kid }: { kid: string }) => kid)).toEqual(['old', 'next']);
    const { keys, ...others } = document.spec;
    expect(keys).toEqual({ pushedBy: pusherPath, asOf, jwks: { keys: expect.any(Array) } });
    expect(others).toEqual({ platform: 'kubernetes', issuer: issuerUrl });
    expect(document.metadata).toEqual({ name: 'prod', labels: { team: 'platform' } });
    expect(await eventOf(response)).toMatchObject({
      action: 'admin.issuers.push_keys',
      outcome: 'permitted',
      actor: pusherId,
      identity: pusherId,
      issuer: 'prod',
      claims: { 'kubernetes.io.namespace': 'mintmark', 'kubernetes.io.serviceaccount.name': 'jwks-push' },
      summary: `pushed 2 keys to Issuer/prod; now at revision ${before.revision + 1}`,
    });
    expect(house.log()).not.toContain(token);
  });

  it('lets a new key verify at once, and an old one no longer once it is gone', async () => {
    expect((await push(await tokenOf(next), jwksOf(next))).statusCode).toBe(401);
    expect((await pushKeys(old, next)).statusCode).toBe(200);
    expect((await push(await tokenOf(next), jwksOf(next))).statusCode).toBe(200);
    const late = await push(await tokenOf(old), jwksOf(old));
    expect(said(late)).toEqual([401, 'urn:mintmark:problem:pusher-unauthorized']);
    expect(await eventOf(late)).toMatchObject({ reason: 'credential.key_unknown' });
  });

  it('of the same keys renews their time, at most once in a while, and makes no other revision', async () => {
    const first = (await pushKeys(old, next)).json();
    house.clock.set(testNowMillis + 59 * 60_000);
    const again = await pushKeys(next, old);
    expect(again.json()).toEqual({ ...first, changed: false });
    expect(await eventOf(again)).toMatchObject({ summary: 'pushed the keys that Issuer/prod holds already' });

    const written = await putPolicy(house.app, [
      cluster(old, { pushedBy: pusherPath, asOf: first.as_of, warnAfter: '2h' }),
    ]);
    house.clock.set(testNowMillis + 3_600_000);
    const token = await tokenOf(old, times(7200));
    const renewed = await push(token, jwksOf(old));
    const asOf = new Date(testNowMillis + 3_600_000).toISOString();
    expect(renewed.json()).toEqual({ revision: written.json().revision + 1, changed: false, as_of: asOf });
    expect((await inForce()).spec.keys).toMatchObject({ asOf, warnAfter: '2h' });
  });

  it('is refused where the document has changed since the token was verified', async () => {
    const token = await tokenOf();
    const third = await makeKey('third');
    const both = await Promise.all([push(token, jwksOf(old, next)), push(token, jwksOf(old, third))]);
    const [made, late] = both.sort((a, b) => a.statusCode - b.statusCode);
    expect(made?.json()).toMatchObject({ changed: true });
    expect(late?.statusCode).toBe(412);
    expect(late?.json()).toMatchObject({
      type: 'urn:mintmark:problem:etag-mismatch',
      detail: 'The document has just changed: push again.',
    });
    expect((await inForce()).spec.keys.jwks.keys).toHaveLength(2);
  });

  it('stores public members alone', async () => {
    const [first, second] = jwksOf(old, next).keys;
    const response = await push(await tokenOf(), {
      keys: [{ ...first, x5c: ['AAAA'], note: 'canary' }, second],
      pushedBy: '/prod/ns/other/sa/other',
    });
    expect(response.statusCode).toBe(200);
    expect(JSON.stringify(await inForce())).not.toMatch(/canary|x5c|other/);
  });
});

describe('who may not push', () => {
  it.each([
    [
      'a token of another key',
      () => makeKey('old').then((forged) => tokenOf(forged)),
      'credential.signature_invalid',
    ],
    ['an old token', () => tokenOf(old, { iat: 1, nbf: 1, exp: 2 }), 'credential.expired'],
    [
      'a token for somebody else',
      () => tokenOf(old, {}, 'https://else.example'),
      'credential.audience_mismatch',
    ],
    [
      'a token that is for somebody else too',
      () => tokenOf(old, {}, [testIssuer, 'https://else.example']),
      'credential.audience_not_sole',
    ],
    ['text that is no token', async () => 'canary-text', 'credential.malformed'],
  ])('%s is refused', async (_name, make, reason) => {
    expect((await pushKeys(old, next)).statusCode).toBe(200);
    const before = await inForce();
    const token = await make();
    const response = await push(token, jwksOf(old));
    expect(said(response)).toEqual([401, 'urn:mintmark:problem:pusher-unauthorized']);
    expect(response.headers['www-authenticate']).toBe('Bearer error="invalid_token"');
    expect(response.body).not.toContain('credential.');
    expect(await eventOf(response)).toMatchObject({
      outcome: 'refused',
      reason,
      error_code: 'invalid_token',
    });
    expect(await inForce()).toEqual(before);
  });

  it('nobody whose keys are out of reach, which is no fault of theirs', async () => {
    const far = {
      ...cluster(old, {}, 'far'),
      spec: { platform: 'kubernetes', issuer: 'http://127.0.0.1:1' },
    };
    expect((await putPolicy(house.app, [cluster(old, { pushedBy: pusherPath }), far])).statusCode).toBe(200);
    const response = await push(await tokenOf(old, { iss: 'http://127.0.0.1:1' }), jwksOf(old));
    expect(said(response)).toEqual([503, 'urn:mintmark:problem:unavailable']);
    expect(await eventOf(response)).toMatchObject({
      outcome: 'failed',
      reason: 'credential.keys_unavailable',
    });
  });

  it('nobody without a token, and no admin token either', async () => {
    const response = await push(undefined, jwksOf(old));
    expect(response.statusCode).toBe(401);
    expect(response.headers['www-authenticate']).toBe('Bearer');
    expect(await eventOf(response)).toMatchObject({ reason: 'admin.token_missing' });
    const admin = await callAdmin(house.app, '/issuers/prod/jwks', { method: 'PUT', payload: jwksOf(old) });
    expect(said(admin)).toEqual([401, 'urn:mintmark:problem:pusher-unauthorized']);
  });

  it('no other workload of the cluster, and the pusher nowhere else', async () => {
    const other = await push(await tokenOf(old, {}, testIssuer, 'other'), jwksOf(old, next));
    expect(said(other)).toEqual([403, 'urn:mintmark:problem:pusher-not-named']);
    expect(await eventOf(other)).toMatchObject({
      outcome: 'refused',
      reason: 'admin.pusher_not_named',
      identity: 'spiffe://mintmark.test/prod/ns/mintmark/sa/other',
    });
    for (const name of ['filed', 'none']) {
      expect((await push(await tokenOf(), jwksOf(old), name)).statusCode).toBe(403);
    }
    expect((await putPolicy(house.app, [cluster(old)])).statusCode).toBe(200);
    expect((await pushKeys(old)).statusCode).toBe(403);
  });

  it('the pusher of a document that is managed by file, which says where to change it', async () => {
    const response = await push(await tokenOf(filed), jwksOf(filed), 'filed');
    expect(said(response)).toEqual([409, 'urn:mintmark:problem:managed-by-file']);
    expect(response.json().detail).toMatch(/policy file, so change it there: Issuer\/filed/);
  });

  it.each([
    ['strangers', async () => 'canary', 401],
    ['workloads that are not named', () => tokenOf(old, {}, testIssuer, 'other'), 403],
  ])('%s, and past a cap nothing more is kept of them', async (_name, make, status) => {
    const remoteAddress = newAddress();
    const token = await make();
    let response = await push(token, {}, 'prod', remoteAddress);
    expect(response.statusCode).toBe(status);
    for (let tries = 0; tries < 500 && response.statusCode === status; tries++) {
      response = await push(token, {}, 'prod', remoteAddress);
    }
    expect(said(response)).toEqual([429, 'urn:mintmark:problem:too-many-refusals']);
    await expect(eventOf(response)).rejects.toThrow(/not-found/);
    expect((await push(await tokenOf(), jwksOf(old), 'prod', remoteAddress)).statusCode).toBe(200);
  });

  it('anybody whose body is to be read first', async () => {
    const response = await push('canary', 'x'.repeat(70_000));
    expect(response.statusCode).toBe(401);
    expect((await push(await tokenOf(), 'x'.repeat(70_000))).statusCode).toBe(413);
  });
});

describe('what may not be pushed', () => {
  const [one, two] = [() => jwksOf(old).keys[0], () => jwksOf(next).keys[0]];
  it.each([
    ['a set without the key that signed', () => [two()], 'keys', /still hold the key that signed/],
    ['another key under its kid', () => [{ ...two(), kid: 'old' }], 'keys', /still hold the key that signed/],
    ['a private key', () => [one(), { ...two(), d: 'canary' }], 'keys[1].d', /private part/],
    ['a shared secret', () => [one(), { kty: 'oct', kid: 'x', k: 'canary' }], 'keys[1].kty', /symmetric/],
    ['two keys of one kid', () => [one(), { ...two(), kid: 'old' }], 'keys[1].kid', /same kid/],
    ['a key for encryption', () => [one(), { ...two(), use: 'enc' }], 'keys[1].use', /must be sig/],
    ['a key that signs only', () => [one(), { ...two(), key_ops: ['sign'] }], 'keys[1]', /key_ops/],
    ['an algorithm of another type', () => [one(), { ...two(), alg: 'RS256' }], 'keys[1]', /alg is not/],
    ['half a key', () => [one(), { kty: 'EC', kid: 'x' }], 'keys[1]', /complete public key/],
  ])('%s', async (_name, make, field, message) => {
    const response = await push(await tokenOf(), { keys: make() });
    expect(said(response)).toEqual([422, 'urn:mintmark:problem:policy-refused']);
    expect(response.json().problems).toEqual([
      { document: 'Issuer/prod', field: `spec.keys.jwks.${field}`, message: expect.stringMatching(message) },
    ]);
    expect(response.body).not.toContain('canary');
    expect(await eventOf(response)).toMatchObject({ reason: 'admin.policy_refused', actor: pusherId });
    expect((await inForce()).spec.keys).not.toHaveProperty('asOf');
  });

  it('a key of an algorithm that the platform never signs with', async () => {
    const ed = await makeKey('ed', 'Ed25519');
    const response = await push(await tokenOf(), jwksOf(old, ed));
    expect(response.json().problems[0].message).toMatch(
      /^is for "EdDSA", "Ed25519", and the platform signs with/,
    );
  });

  it('a key that another document of this issuer pins', async () => {
    const taken = await push(await tokenOf(), jwksOf(old, filed));
    expect(taken.statusCode).toBe(422);
    expect(taken.json().problems[0]).toMatchObject({
      message: expect.stringMatching(/one token could satisfy/),
    });
  });

  it.each([
    ['no keys', { keys: [] }],
    ['too many', { keys: Array.from({ length: 17 }, (_, at) => ({ kty: 'EC', kid: `k${at}` })) }],
    ['a key without a kid', { keys: [{ kty: 'EC' }] }],
    ['a kid of control characters', { keys: [{ kty: 'EC', kid: 'a\u0000b' }] }],
    ['a kid that is no text', { keys: [{ kty: 'EC', kid: 'a\ud800b' }] }],
    ['no set', []],
  ])('%s', async (_name, payload) => {
    const response = await push(await tokenOf(), payload);
    expect(said(response)).toEqual([400, 'urn:mintmark:problem:malformed-request']);
  });
});

describe('the age of keys that stand in documents', () => {
  const warnings = () => house.log().match(/the keys of Issuer prod are those of [^"]*/g) ?? [];
  const status = async () =>
    (await callAdmin(house.app, '/status'))
      .json()
      .issuer_keys.find(({ issuer }: { issuer: string }) => issuer === 'prod');

  it('is in the status, warned of when it is overdue, and renewed by a push', async () => {
    expect(await status()).toEqual({ issuer: 'prod', warn_after_seconds: 90 * 86_400, overdue: false });
    expect(warnings()).toEqual([]);
    const asOf = new Date(testNowMillis - 100 * 86_400_000).toISOString();
    const written = await putPolicy(house.app, [cluster(old, { pushedBy: pusherPath, asOf })]);
    expect(written.statusCode).toBe(200);
    expect(await status()).toMatchObject({ as_of: asOf, age_seconds: 100 * 86_400, overdue: true });
    expect(warnings()).toEqual([
      `the keys of Issuer prod are those of ${asOf}, 100 days ago (warnAfter: 7776000 s): read them anew and renew keys.asOf`,
    ]);
    expect((await pushKeys(old)).json()).toMatchObject({ changed: false });
    expect(await status()).toMatchObject({ age_seconds: 0, overdue: false });
    expect(warnings()).toHaveLength(1);
  });
});
