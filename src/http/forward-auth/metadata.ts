/** The metadata of a guarded service as a protected resource (RFC 9728), which its proxy publishes at the service's own host. */
import type { FastifyPluginAsync } from 'fastify';
import { guardedResource, resourceMetadataUrl } from '../../core/policy/guarded-resource.ts';
import type { HttpDependencies } from '../dependencies.ts';

const metadataMaxAgeSeconds = 300;
export const guardedMetadataPath = '/forward-auth-metadata/:resource';

export const guardedMetadataRoutes: FastifyPluginAsync<HttpDependencies> = async (app, dependencies) => {
  const { policyBook, settings } = dependencies;
  app.get<{ Params: { resource: string } }>(guardedMetadataPath, async (request, reply) => {
    const resource = guardedResource(policyBook.current(), request.params.resource);
    if (resource === undefined || resourceMetadataUrl(resource.audience) === undefined) {
      return reply.callNotFound();
    }
    return reply
      .header('cache-control', `public, max-age=${metadataMaxAgeSeconds}`)
      .header('access-control-allow-origin', '*') // clients in browsers ask too
      .type('application/json; charset=utf-8')
      .send(
        JSON.stringify({
          resource: resource.audience,
          authorization_servers: [settings.issuer],
          // RFC 9728 §2: never empty.
          ...(resource.scopes.size === 0 ? {} : { scopes_supported: [...resource.scopes] }),
          bearer_methods_supported: ['header'],
        }),
      );
  });
};
