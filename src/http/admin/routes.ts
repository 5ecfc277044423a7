/** The admin API, `/admin/v1`: one gate, one file a route group. */
import type { FastifyPluginAsync } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import type { HttpDependencies } from '../dependencies.ts';
import { auditEventRoutes } from './audit-event-routes.ts';
import { installAuthorization } from './authorize.ts';
import { authorizePusher } from './authorize-pusher.ts';
import { documentRoutes } from './document-routes.ts';
import { explainRoutes } from './explain-routes.ts';
import { issuerCheckRoutes } from './issuer-check-routes.ts';
import { issuerKeysRoutes } from './issuer-keys-routes.ts';
import { keyRoutes } from './key-routes.ts';
import { policyRoutes } from './policy-routes.ts';
import { AdminProblem, sendProblem } from './problem.ts';
import { revisionRoutes } from './revision-routes.ts';
import { revocationRoutes } from './revocation-routes.ts';
import { statusRoutes } from './status-routes.ts';

/** To be mounted at `/admin/v1`. Every answer that is not a success is a problem document. */
export const adminRoutes: FastifyPluginAsync<HttpDependencies> = async (app, dependencies) => {
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  const authorize = installAuthorization(app, dependencies);
  app.setNotFoundHandler((request, reply) => sendProblem(new AdminProblem('not-found'), request, reply));
  await app.register(documentRoutes(authorize, dependencies));
  await app.register(policyRoutes(authorize, dependencies));
  await app.register(revisionRoutes(authorize, dependencies));
  await app.register(auditEventRoutes(authorize, dependencies));
  await app.register(issuerCheckRoutes(authorize, dependencies));
  await app.register(
    issuerKeysRoutes(authorizePusher('admin.issuers.push_keys', dependencies), dependencies),
  );
  await app.register(explainRoutes(authorize, dependencies));
  await app.register(revocationRoutes(authorize, dependencies));
  await app.register(statusRoutes(authorize, dependencies));
  await app.register(keyRoutes(authorize, dependencies));
};
