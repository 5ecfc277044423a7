/** The Fastify application: limits, headers, and which plugin owns which path. The only room that knows a status code. */
import helmet from '@fastify/helmet';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import { v7RequestId } from '../core/request-id.ts';
import { adminMetadataRoutes } from './admin/metadata.ts';
import { adminRoutes } from './admin/routes.ts';
import type { HttpDependencies } from './dependencies.ts';
import { discoveryRoutes } from './discovery-routes.ts';
import { docsPage } from './docs-page.ts';
import { healthRoutes } from './health-routes.ts';
import { openapi } from './openapi.ts';
import { bodyLimitBytes, tokenRoutes } from './token-routes.ts';

const maxHeaderBytes = 24 * 1024;
const requestTimeoutMillis = 10_000;
const timeoutCheckMillis = 1_000; // Node looks for requests past their time every 30 s only
const keepAliveTimeoutMillis = 65_000; // longer than the idle timeout of common load balancers (60 s)

/** Builds the application without listening. Every answer carries the request's id in `x-request-id`. */
export async function buildApp(
  dependencies: HttpDependencies,
  logger: FastifyBaseLogger,
): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }), // the audit has every attempt
    bodyLimit: bodyLimitBytes,
    requestTimeout: requestTimeoutMillis,
    keepAliveTimeout: keepAliveTimeoutMillis,
    trustProxy:
      dependencies.settings.trustedProxies.length === 0 ? false : [...dependencies.settings.trustedProxies],
    http: {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: requestTimeoutMillis,
      connectionsCheckingInterval: timeoutCheckMillis,
    },
    genReqId: () => v7RequestId(dependencies.clock.now()), // never the caller's own header
    // A URL that is none: answered like any other path, and not echoed.
    frameworkErrors: (_error, request, reply) => {
      void sendNotFound(request, reply as FastifyReply);
    },
    return503OnClosing: false, // what still arrives is answered, with Connection: close
    forceCloseConnections: 'idle',
  });

  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        'default-src': ["'none'"],
        'style-src': ["'self'"],
        'img-src': ["'self'"],
        'base-uri': ["'none'"],
        'form-action': ["'none'"],
        'frame-ancestors': ["'none'"],
      },
    },
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  app.setNotFoundHandler(sendNotFound);
  app.setErrorHandler((error, request, reply) => {
    request.log.error({ err: error }, 'request failed');
    return reply.code(500).send({ error: 'server_error', request_id: request.id });
  });

  await app.register(openapi, dependencies);
  await app.register(docsPage, dependencies);
  await app.register(healthRoutes, dependencies);
  await app.register(discoveryRoutes, dependencies);
  await app.register(tokenRoutes, dependencies);
  await app.register(adminMetadataRoutes, dependencies);
  await app.register(adminRoutes, { ...dependencies, prefix: '/admin/v1' });
  return app;
}

function sendNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply
    .code(404)
    .header('x-request-id', request.id)
    .send({ error: 'not_found', request_id: request.id });
}
