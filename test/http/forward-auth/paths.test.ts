/** What the path of `/forward-auth` may say: nothing that is read in two ways, and nothing but 200, 401 and 403 in answer. */
import { METHODS } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bearer, type Guard, nobody, openGuard } from './guard.ts';

let guard: Guard;
let all: Record<string, string>; // every scope that the grant gives
beforeAll(async () => {
  guard = await openGuard();
  all = bearer(await guard.token('read a+b items:read urn:x/y'));
});
afterAll(() => guard.house.close());

describe('scopes in the path', () => {
  it.each([
    ['/shop/read+items:read', 200],
    ['/shop/items%3Aread+read', 200],
    ['/shop/a%2Bb', 200],
    ['/shop/a%2bb+read', 200],
    ['/shop/a+b', 403], // two scopes, neither of which the token has
    ['/shop/urn:x%2Fy', 200],
    ['/shop/urn:x/y', 403], // what follows is ignored, and urn:x is another scope
    ['/shop/read+read', 200],
    ['/shop/read/orders/7?x=y', 200],
    ['/shop/read?scope=write', 200],
    ['/shop/write', 403],
    ['/shop/READ', 403],
    ['/shop/unheard-of', 403],
  ])('%s: %i', async (path, status) => {
    const reason = status === 200 ? undefined : 'token.scope_missing';
    expect(await guard.ask(path, all)).toMatchObject({ status, reason });
  });

  it.each([
    '/shop/',
    '/shop//',
    '/shop//read',
    '/shop/++',
    '/shop/+read',
    '/shop/read+',
    '/shop/read++items:read',
    '/shop/read%20items:read',
    '/shop/read%',
    '/shop/%zz',
    '/shop/%ff',
    '/shop/%',
    '/shop/read%00',
    '/shop/read%0d%0aX-SPIFFE-Id:%20spiffe://evil.test/x',
    '/shop/re%22ad',
    '/shop/re"ad',
    '/shop/re%5Cad',
    '/shop/r%C3%A9ad',
    `/shop/${'r'.repeat(257)}`,
    `/shop/${'read+'.repeat(3000)}read`,
    `/shop/${Array.from({ length: 101 }, (_, index) => `s${index}`).join('+')}`,
  ])('malformed: %s', async (path) => {
    const answer = await guard.ask(path, all);
    expect(answer).toMatchObject({
      status: 403,
      reason: 'request.scope_malformed',
      challenge: undefined,
      passport: nobody,
    });
    expect(JSON.parse(answer.body)).toMatchObject({ error: 'invalid_scope' });
  });
});

describe('the resource in the path', () => {
  it.each([
    '/',
    '//',
    '//shop',
    '/Shop',
    '/shop%2fread',
    '/shop%2Fread',
    '/%73hop',
    '/shop;read',
    '/shop;x=y/read',
    '/sho',
    '/shopp',
    '/ shop',
    '/alpha,shop',
    '/__proto__',
    '/constructor',
    '/mintmark',
    '/mintmark/tokens:introspect',
    '/mintmark-admin',
    '/mintmark-admin/policy:read',
    `/${'s'.repeat(5000)}`,
    '/%',
    '/-/-',
  ])('none: %s', async (path) => {
    const answer = await guard.ask(path, all);
    expect(answer).toMatchObject({
      status: 403,
      reason: 'policy.unknown_resource',
      challenge: undefined,
      passport: nobody,
    });
  });
});

it.each(METHODS.filter((method) => method !== 'CONNECT'))('answers %s alike', async (method) => {
  const options = { method: method as 'GET', payload: '{"canary":' };
  const headers = { 'content-type': 'application/json' };
  expect(await guard.ask('/shop/read', { ...headers, ...all }, options)).toMatchObject({ status: 200 });
  expect(await guard.ask('/shop/write', { ...headers, ...all }, options)).toMatchObject({ status: 403 });
  expect(await guard.ask('/shop/read', headers, options)).toMatchObject({ status: 401 });
});
