/** The policy that the token endpoint's tests share: one platform, one trust domain, two resources. */

import { testIssuer } from '../../support/house.ts';
import { bundleOf, jwksOf, kubernetesClaims, makeKey, makeSvid, signToken } from '../../support/tokens.ts';

export const clusterIssuer = 'https://cluster.test';
export const orders = 'spiffe://prod.test/orders';

const document = (kind: string, name: string, spec: object) => ({
  apiVersion: 'mintmark/v1',
  kind,
  metadata: { name },
  spec,
});

/** Keys, documents and ready credentials; the keys are new in every test file. */
export async function tellStory() {
  const clusterKey = await makeKey('cluster');
  const domainKey = await makeKey('domain');
  const strangerKey = await makeKey('domain');
  return {
    clusterKey,
    domainKey,
    strangerKey,
    documents: [
      document('Issuer', 'cluster', {
        platform: 'kubernetes',
        issuer: clusterIssuer,
        keys: { jwks: jwksOf(clusterKey) },
        replay: 'allow',
      }),
      document('Issuer', 'once', {
        platform: 'oidc',
        issuer: 'https://once.test',
        keys: { jwks: jwksOf(clusterKey) },
        replay: 'once',
      }),
      document('TrustDomain', 'prod.test', { bundle: { static: bundleOf(domainKey) } }),
      document('Resource', 'alpha', {
        audience: 'alpha',
        scopes: ['alpha', 'profile', 'email'],
        tokenLifetime: '5m',
      }),
      document('Resource', 'beta', { audience: 'beta', scopes: ['beta'] }),
      document('Grant', 'orders-alpha', {
        subjects: [{ spiffeId: orders }],
        resource: 'alpha',
        scopes: ['alpha', 'profile', 'email'],
        default: true,
      }),
      document('Grant', 'api-alpha', {
        subjects: [{ issuer: 'cluster' }],
        resource: 'alpha',
        scopes: ['alpha', 'profile'],
        maxTokenLifetime: '2m',
        defaultScopes: ['profile'],
      }),
      document('Grant', 'once-alpha', {
        subjects: [{ issuer: 'once' }],
        resource: 'alpha',
        scopes: ['alpha'],
      }),
    ],
    svid: (subject = orders, audience: string | string[] = testIssuer, claims = {}) =>
      makeSvid(domainKey, subject, audience, claims),
    platformToken: (claims = {}) =>
      signToken(clusterKey, kubernetesClaims(clusterIssuer, testIssuer, claims)),
  };
}
