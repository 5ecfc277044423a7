/** Client certificates at `/forward-auth`, as a trusted proxy forwards them: what they give, and what they never do. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Issued, issue, leafExtensions, makeRoot, rootJwk } from '../../support/svid-authority.ts';
import { testNowMillis as now } from '../../support/tokens.ts';
import { orders } from '../token/story.ts';
import { bearer, type Guard, nobody, openGuard, shopAudience, shopMetadata } from './guard.ts';

const proxy = '10.9.0.1';
let guard: Guard;
let leaf: Issued;
let other: Issued; // an identity without a grant
let forged: Issued;

beforeAll(async () => {
  const root = await makeRoot(now);
  leaf = await issue(now, root, { extensions: leafExtensions(orders), notAfter: now + 3_600_000 });
  other = await issue(now, root, { extensions: leafExtensions('spiffe://prod.test/other') });
  forged = await issue(now, await makeRoot(now), { extensions: leafExtensions(orders) });
  const domain = {
    apiVersion: 'mintmark/v1',
    kind: 'TrustDomain',
    metadata: { name: 'prod.test' },
    spec: { bundle: { static: { keys: [rootJwk(root)] } } },
  };
  const environment = { MINTMARK_TRUSTED_PROXIES: proxy, MINTMARK_CLIENT_CERT_HEADER: 'nginx' };
  guard = await openGuard(environment, [domain], ['TrustDomain']);
});
afterAll(() => guard.house.close());

const shown = ({ certificate }: Issued) => ({
  'ssl-client-cert': encodeURIComponent(`${certificate.toString('pem')}\n`),
  'ssl-client-verify': 'SUCCESS',
});
const ask = (path: string, headers: Record<string, string>, remoteAddress = proxy) =>
  guard.ask(path, headers, { remoteAddress });

describe('a client certificate', () => {
  it('passes with the scopes that grants give its identity', async () => {
    expect(await ask('/shop/read+items:read', shown(leaf))).toMatchObject({
      status: 200,
      passport: {
        'x-spiffe-id': orders,
        'x-spiffe-trust-domain': 'prod.test',
        'x-auth-method': 'x509-svid',
        'x-auth-client-id': orders,
        'x-auth-audience': shopAudience,
        'x-auth-scope': 'read items:read',
        'x-auth-expires': String(now / 1000 + 3600),
      },
    });
    expect(await ask('/shop', shown(leaf))).toMatchObject({ status: 200, passport: { 'x-auth-scope': '' } });
  });

  it('does not pass without a grant that gives every scope', async () => {
    const refused = { status: 403, challenge: undefined, passport: nobody };
    expect(await ask('/shop/read+write', shown(leaf))).toMatchObject({
      ...refused,
      reason: 'policy.scope_not_permitted',
    });
    expect(await ask('/shop', shown(other))).toMatchObject({ ...refused, reason: 'policy.no_grant' });
  });

  it('is verified here, whoever forwards it', async () => {
    expect(await ask('/shop', shown(forged))).toMatchObject({
      status: 401,
      reason: 'credential.certificate_signature_invalid',
      challenge: `Bearer resource_metadata="${shopMetadata}"`, // no token came, so no error is named
      passport: nobody,
    });
  });

  it('counts from a trusted proxy only', async () => {
    expect(await ask('/shop', shown(leaf), '10.8.0.1')).toMatchObject({
      status: 401,
      reason: 'request.certificate_header_untrusted',
      challenge: `Bearer resource_metadata="${shopMetadata}", error="invalid_request"`,
    });
  });

  it('is no second way in beside a token that does not hold', async () => {
    expect(await ask('/shop', { ...shown(leaf), ...bearer('a.b.c') })).toMatchObject({
      status: 401,
      reason: 'token.malformed',
    });
  });

  it('is what counts beside a password of the service’s own', async () => {
    expect(await ask('/shop', { ...shown(leaf), authorization: 'Basic YTpi' })).toMatchObject({
      status: 200,
      passport: { 'x-auth-method': 'x509-svid' },
    });
  });
});
