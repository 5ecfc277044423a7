/** RFC 9728: what a guarded service would publish, where the challenge says that it is, and what we say of ourselves. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resourceMetadataUrl } from '../../../src/core/policy/guarded-resource.ts';
import { testIssuer } from '../../support/house.ts';
import { type Guard, openGuard, shopAudience, shopMetadata } from './guard.ts';

let guard: Guard;
beforeAll(async () => {
  guard = await openGuard();
});
afterAll(() => guard.house.close());

describe('GET /forward-auth-metadata/{resource}', () => {
  it('is the document that the proxy publishes at the service’s own host', async () => {
    const response = await guard.house.app.inject('/forward-auth-metadata/shop');
    expect(response.statusCode).toBe(200);
    expect(response.headers).toMatchObject({
      'cache-control': 'public, max-age=300',
      'content-type': 'application/json; charset=utf-8',
      'access-control-allow-origin': '*',
    });
    const document = response.json();
    expect(document).toEqual({
      resource: shopAudience,
      authorization_servers: [testIssuer],
      scopes_supported: ['read', 'write', 'a+b', 'items:read', 'urn:x/y'],
      bearer_methods_supported: ['header'],
    });
    // §3.3: the resource is what the URL of the challenge was made of.
    expect(resourceMetadataUrl(document.resource)).toBe(shopMetadata);
    const { challenge } = await guard.ask('/shop');
    expect(challenge).toBe(`Bearer resource_metadata="${shopMetadata}"`);
  });

  it.each([
    'alpha',
    'unheard-of',
    'mintmark',
    'mintmark-admin',
    '__proto__',
    '..',
    'shop%2f',
    `${'s'.repeat(253)}`,
  ])('is not there for what has no URL, or is no guarded service: %s', async (name) => {
    const response = await guard.house.app.inject(`/forward-auth-metadata/${name}`);
    expect(response.statusCode).toBe(404);
    expect(response.body).not.toContain('resource"');
  });
});

describe('the place of a resource’s metadata', () => {
  it.each([
    ['https://shop.test', 'https://shop.test/.well-known/oauth-protected-resource'],
    ['https://shop.test/', 'https://shop.test/.well-known/oauth-protected-resource'],
    ['https://shop.test:8443/a/b', 'https://shop.test:8443/.well-known/oauth-protected-resource/a/b'],
    ['https://shop.test/a/', 'https://shop.test/.well-known/oauth-protected-resource/a/'],
  ])('%s', (audience, url) => {
    expect(resourceMetadataUrl(audience)).toBe(url);
  });

  it.each([
    'shop',
    'spiffe://shop.test/a',
    'http://shop.test',
    'HTTPS://shop.test',
    'https://SHOP.test',
    'https://shop.test:443',
    'https://shop.test/a/../b',
    'https://shop.test/?a=b',
    'https://shop.test/#a',
    'https://user@shop.test/',
    'https://shop.test/"x',
    'https://shop.test/ä',
    'https://shop.test\\a',
    'https://',
    '',
  ])('none: %s', (audience) => {
    expect(resourceMetadataUrl(audience)).toBeUndefined();
  });
});

it.each(['oauth-authorization-server', 'openid-configuration'])(
  'names the admin API in %s, whose metadata names us (§4)',
  async (name) => {
    const {
      protected_resources: [resource],
    } = (await guard.house.app.inject(`/.well-known/${name}`)).json();
    expect(resource).toBe(`${testIssuer}/admin/v1`);
    const { pathname } = new URL(resourceMetadataUrl(resource) ?? '');
    const metadata = (await guard.house.app.inject(pathname)).json();
    expect(metadata).toMatchObject({ resource, authorization_servers: [testIssuer] });
  },
);
