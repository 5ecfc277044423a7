/** What resource servers read: our public keys and the two discovery documents. */
import type { FastifyPluginAsync } from 'fastify';
import {
  authorizationServerMetadata,
  jwksMaxAgeSeconds,
  openidConfiguration,
  paths,
} from '../core/discovery.ts';
import { adminAudience } from '../core/policy/admin-resource.ts';
import { type HttpDependencies, takesCertificates } from './dependencies.ts';
import { sendCacheable } from './send-cacheable.ts';

const metadataMaxAgeSeconds = 3600;

export const discoveryRoutes: FastifyPluginAsync<HttpDependencies> = async (app, { keyRing, settings }) => {
  const publish = (path: string, maxAgeSeconds: number, contentType: string, read: () => object) =>
    app.get(path, (request, reply) => sendCacheable(request, reply, maxAgeSeconds, contentType, read()));

  publish(paths.jwks, jwksMaxAgeSeconds, 'application/jwk-set+json', () => ({ keys: keyRing.publicKeys() }));
  // RFC 9728 §4. Whom else we mint tokens for is the policy's to know.
  const ours = { protected_resources: [adminAudience(settings.issuer)] };
  publish(paths.authorizationServer, metadataMaxAgeSeconds, 'application/json; charset=utf-8', () => ({
    ...authorizationServerMetadata(settings.issuer, takesCertificates(settings)),
    ...ours,
  }));
  publish(paths.openidConfiguration, metadataMaxAgeSeconds, 'application/json; charset=utf-8', () => ({
    ...openidConfiguration(settings.issuer, keyRing.publicKeys(), takesCertificates(settings)),
    ...ours,
  }));
};
