/** Every 401 and 403 that carries a challenge, in one table: RFC 6750 §3, RFC 9728 §5.1 and RFC 6749 §5.2. */
import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signingAlgorithms } from '../../src/core/algorithm.ts';
import { newAddress, testIssuer } from '../support/house.ts';
import { adminGrant } from './admin/admin-story.ts';
import { type Guard, openGuard, shopAudience, shopMetadata } from './forward-auth/guard.ts';

let guard: Guard;
let tokens: Record<'admin' | 'shop' | 'platform', string>;
beforeAll(async () => {
  guard = await openGuard({}, [adminGrant({ scopes: ['policy:read'] })]);
  tokens = {
    admin: await guard.token('policy:read', `${testIssuer}/admin/v1`),
    shop: await guard.token('read', shopAudience),
    platform: await guard.story.platformToken({ exp: 1 }),
  };
});
afterAll(() => guard.house.close());

const adminMetadata = `resource_metadata="${testIssuer}/.well-known/oauth-protected-resource/admin/v1"`;
const dpop = `DPoP algs="${signingAlgorithms.join(' ')}"`; // RFC 9449 §7.1
const shop = `resource_metadata="${shopMetadata}"`;
const form = { 'content-type': 'application/x-www-form-urlencoded' };
const clientCredentials = 'grant_type=client_credentials&client_assertion=a.b.c&audience=alpha';

describe('a challenge', () => {
  it.each<[string, number, string | undefined, () => InjectOptions]>([
    ['admin, no token', 401, `Bearer ${adminMetadata}, ${dpop}`, () => ({ url: '/admin/v1/policy' })],
    [
      'admin, another scheme',
      401,
      `Bearer ${adminMetadata}, ${dpop}`,
      () => ({ url: '/admin/v1/policy', headers: { authorization: 'Basic YTpi' } }),
    ],
    [
      'admin, a wrong token',
      401,
      `Bearer ${adminMetadata}, error="invalid_token", ${dpop}`,
      () => ({ url: '/admin/v1/policy', headers: { authorization: 'Bearer wrong' } }),
    ],
    [
      'admin, a token for another resource',
      401,
      `Bearer ${adminMetadata}, error="invalid_token", ${dpop}`,
      () => ({ url: '/admin/v1/policy', headers: { authorization: `Bearer ${tokens.shop}` } }),
    ],
    [
      'admin, a scope is missing',
      403,
      `Bearer ${adminMetadata}, error="insufficient_scope", scope="audit:read"`,
      () => ({ url: '/admin/v1/audit-events', headers: { authorization: `Bearer ${tokens.admin}` } }),
    ],
    ['agentless, no token', 401, 'Bearer', () => ({ method: 'POST', url: '/api/v1/token', payload: {} })],
    [
      'agentless, a bad token',
      401,
      'Bearer error="invalid_token"',
      () => ({
        method: 'POST',
        url: '/api/v1/token',
        payload: {},
        headers: { authorization: `Bearer ${tokens.platform}` },
      }),
    ],
    [
      'OAuth, a bad client assertion: no scheme was tried',
      401,
      undefined,
      () => ({
        method: 'POST',
        url: '/oauth/token',
        headers: form,
        payload: `${clientCredentials}&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer`,
      }),
    ],
    [
      'OAuth, a secret: the scheme that was tried',
      401,
      'Basic realm="mintmark"',
      () => ({
        method: 'POST',
        url: '/oauth/token',
        headers: { ...form, authorization: 'Basic YTpi' },
        payload: 'grant_type=client_credentials&audience=alpha',
      }),
    ],
    [
      'forward-auth, no token',
      401,
      `Bearer ${shop}, scope="read"`,
      () => ({ url: '/forward-auth/shop/read' }),
    ],
    [
      'forward-auth, a wrong token',
      401,
      `Bearer ${shop}, error="invalid_token"`,
      () => ({ url: '/forward-auth/shop', headers: { authorization: 'Bearer wrong' } }),
    ],
    [
      'forward-auth, a token for the admin API',
      401,
      `Bearer ${shop}, error="invalid_token"`,
      () => ({ url: '/forward-auth/shop', headers: { authorization: `Bearer ${tokens.admin}` } }),
    ],
    [
      'forward-auth, a scope is missing',
      403,
      `Bearer ${shop}, scope="write", error="insufficient_scope"`,
      () => ({ url: '/forward-auth/shop/write', headers: { authorization: `Bearer ${tokens.shop}` } }),
    ],
    ['forward-auth, no such resource', 403, undefined, () => ({ url: '/forward-auth/unheard-of' })],
    [
      'forward-auth, malformed scopes',
      403,
      undefined,
      () => ({ url: '/forward-auth/shop/a++b', headers: { authorization: `Bearer ${tokens.shop}` } }),
    ],
  ])('%s: %i', async (_what, status, challenge, request) => {
    const response = await guard.house.app.inject({ remoteAddress: newAddress(), ...request() });
    expect({ status: response.statusCode, challenge: response.headers['www-authenticate'] }).toEqual({
      status,
      challenge,
    });
    if (challenge === undefined) return;
    // RFC 9110 §11.6.1: a scheme, then parameters with commas between them, each once; and so the next one.
    for (const one of challenge.split(/, (?=DPoP )/)) {
      expect(one).toMatch(/^(Bearer|Basic|DPoP)( [a-z_]+="[^"\\]+"(, [a-z_]+="[^"\\]+")*)?$/);
    }
  });
});
