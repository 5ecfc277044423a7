/** The metadata of the admin API as a protected resource (RFC 9728), where its clients learn who mints their tokens. */
import type { FastifyPluginAsync } from 'fastify';
import { signingAlgorithms } from '../../core/algorithm.ts';
import { adminAudience, adminScopes } from '../../core/policy/admin-resource.ts';
import { type HttpDependencies, takesCertificates } from '../dependencies.ts';

const metadataMaxAgeSeconds = 3600;
export const adminMetadataPath = '/.well-known/oauth-protected-resource/admin/v1';

export function adminMetadataUrl(issuer: string): string {
  return `${issuer}${adminMetadataPath}`;
}

export const adminMetadataRoutes: FastifyPluginAsync<HttpDependencies> = async (app, { settings }) => {
  const document = JSON.stringify({
    resource: adminAudience(settings.issuer),
    authorization_servers: [settings.issuer],
    scopes_supported: adminScopes,
    bearer_methods_supported: ['header'],
    dpop_signing_alg_values_supported: signingAlgorithms,
    ...(takesCertificates(settings) ? { tls_client_certificate_bound_access_tokens: true } : {}),
  });
  app.get(adminMetadataPath, async (_request, reply) =>
    reply
      .header('cache-control', `public, max-age=${metadataMaxAgeSeconds}`)
      .type('application/json; charset=utf-8')
      .send(document),
  );
};
