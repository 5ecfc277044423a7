/** The two discovery documents. Their values come from configuration, never from a request (RFC 8414, OpenID Connect Discovery 1.0). */
import { signingAlgorithms, tokenAlgorithms } from './algorithm.ts';
import type { PublicJwk } from './ports.ts';

/** How long a resource server may keep our keys, in seconds. */
export const jwksMaxAgeSeconds = 300;

/** Paths under the issuer, in one place for routes and documents alike. */
export const paths = {
  token: '/oauth/token',
  revoke: '/oauth/revoke',
  introspect: '/oauth/introspect',
  agentlessToken: '/api/v1/token',
  jwks: '/.well-known/jwks.json',
  spiffeBundle: '/spiffe/bundle.json',
  openidConfiguration: '/.well-known/openid-configuration',
  authorizationServer: '/.well-known/oauth-authorization-server',
} as const;

export const grantTypes = {
  clientCredentials: 'client_credentials',
  jwtBearer: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
  tokenExchange: 'urn:ietf:params:oauth:grant-type:token-exchange',
} as const;

/** What OAuth clients may put into `aud` besides the issuer itself. */
export function tokenEndpointOf(issuer: string): string {
  return `${issuer}${paths.token}`;
}

/** RFC 8414 §2. `response_types_supported` is left out: there is no authorization endpoint, and §3.2 forbids empty arrays. */
export function authorizationServerMetadata(issuer: string, takesCertificates = false) {
  const clientMethods = ['spiffe_jwt', ...(takesCertificates ? ['spiffe_x509'] : []), 'private_key_jwt'];
  return {
    issuer,
    token_endpoint: tokenEndpointOf(issuer),
    jwks_uri: `${issuer}${paths.jwks}`,
    grant_types_supported: Object.values(grantTypes),
    // draft-ietf-oauth-identity-chaining §3
    identity_chaining_requested_token_types_supported: ['urn:ietf:params:oauth:token-type:jwt'],
    // draft-ietf-oauth-spiffe-client-auth §4 for spiffe_jwt and spiffe_x509; a platform token is an RFC 7523 assertion.
    token_endpoint_auth_methods_supported: [...clientMethods, 'none'],
    token_endpoint_auth_signing_alg_values_supported: signingAlgorithms,
    dpop_signing_alg_values_supported: signingAlgorithms, // RFC 9449 §5.1
    ...(takesCertificates ? { tls_client_certificate_bound_access_tokens: true } : {}), // RFC 8705 §3.3
    revocation_endpoint: `${issuer}${paths.revoke}`,
    revocation_endpoint_auth_methods_supported: clientMethods,
    revocation_endpoint_auth_signing_alg_values_supported: signingAlgorithms,
    introspection_endpoint: `${issuer}${paths.introspect}`,
    introspection_endpoint_auth_methods_supported: ['Bearer'], // RFC 8414 §2: a token type stands for its tokens
    introspection_signing_alg_values_supported: ['ES256'], // RFC 9701 §7; the algorithm that there always is a key for
    service_documentation: `${issuer}/docs`,
  };
}

/**
 * OpenID Connect Discovery 1.0 §3, whose required members are there for verifiers that insist on them. We issue no ID
 * token; verifiers read `id_token_signing_alg_values_supported` as what to accept of our access tokens. So it lists the
 * algorithms of the published keys, and RS256, which §3 says MUST be in it: without an RS256 key it lets nothing in.
 */
export function openidConfiguration(
  issuer: string,
  published: readonly Pick<PublicJwk, 'alg'>[],
  takesCertificates = false,
) {
  const inUse = new Set(['RS256', ...published.map(({ alg }) => alg)]);
  return {
    ...authorizationServerMetadata(issuer, takesCertificates),
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: tokenAlgorithms.filter((algorithm) => inUse.has(algorithm)),
  };
}
