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
import { answerClientError } from './client-error.ts';
import type { HttpDependencies } from './dependencies.ts';
import { discoveryRoutes } from './discovery-routes.ts';
import { docsPage } from './docs-page.ts';
import { bodyLimitBytes } from './form-route.ts';
import { guardedMetadataRoutes } from './forward-auth/metadata.ts';
import { forwardAuthRoutes } from './forward-auth/routes.ts';
import { forwardAuthPrefix, routeForwardAuth } from './forward-auth/target.ts';
import { healthRoutes } from './health-routes.ts';
import { introspectRoutes } from './introspect-routes.ts';
import { metricsRoutes } from './metrics-routes.ts';
import { openapi } from './openapi.ts';
import { revokeRoutes } from './revoke-routes.ts';
import { serverTlsOptions } from './server-tls.ts';
import { spiffeBundleRoute } from './spiffe-bundle-route.ts';
import { readJsonStrictly } from './strict-json-body.ts';
import { tokenRoutes } from './token-routes.ts';

const maxHeaderBytes = 24 * 1024;
const requestTimeoutMillis = 10_000;
const timeoutCheckMillis = 1_000; // Node looks for slow requests every 30 s, and lets them live until then
const keepAliveTimeoutMillis = 65_000; // longer than the idle timeout of common load balancers (60 s)

const contentSecurityPolicy =
  "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Builds the application without listening. Every answer carries the request's id in `x-request-id`. */
export async function buildApp(
  dependencies: HttpDependencies,
  logger: FastifyBaseLogger,
): Promise<FastifyInstance> {
  const { tls } = dependencies.settings;
  const serverOptions = {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: requestTimeoutMillis,
    connectionsCheckingInterval: timeoutCheckMillis,
  };
  const app: FastifyInstance = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }), // the audit has every attempt
    bodyLimit: bodyLimitBytes,
    rewriteUrl: routeForwardAuth,
    routerOptions: { maxParamLength: 253 }, // a document's name
    requestTimeout: requestTimeoutMillis,
    keepAliveTimeout: keepAliveTimeoutMillis,
    trustProxy:
      dependencies.settings.trustedProxies.length === 0 ? false : [...dependencies.settings.trustedProxies],
    http: serverOptions,
    ...(tls === undefined ? {} : { https: { ...serverOptions, ...serverTlsOptions(tls) } }),
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => sendPlainError(error, request, reply),
    genReqId: () => v7RequestId(dependencies.clock.now()), // never the caller's own header
    return503OnClosing: false, // what still arrives is answered, with Connection: close
    forceCloseConnections: 'idle',
  });

  // Helmet would put the policy's directives together anew for each answer; pages that need another set their own.
  await app.register(helmet, { contentSecurityPolicy: false });
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id).header('content-security-policy', contentSecurityPolicy);
    refuseRepeatedHeaders(request);
  });
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send({ error: 'not_found', request_id: request.id }),
  );
  app.setErrorHandler(sendPlainError);
  readJsonStrictly(app);

  await app.register(openapi, dependencies);
  await app.register(docsPage, dependencies);
  await app.register(healthRoutes, dependencies);
  await app.register(metricsRoutes, dependencies);
  await app.register(discoveryRoutes, dependencies);
  await app.register(spiffeBundleRoute, dependencies);
  await app.register(tokenRoutes, dependencies);
  await app.register(revokeRoutes, dependencies);
  await app.register(introspectRoutes, dependencies);
  await app.register(forwardAuthRoutes, { ...dependencies, prefix: forwardAuthPrefix });
  await app.register(guardedMetadataRoutes, dependencies);
  await app.register(adminMetadataRoutes, dependencies);
  await app.register(adminRoutes, { ...dependencies, prefix: '/admin/v1' });
  return app;
}

/** For routes that have no errors of their own. What the caller did wrong is not the server's failure, and is never quoted. */
function sendPlainError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500;
  const isCallers = status >= 400 && status < 500;
  if (!isCallers) request.log.error({ err: error }, 'request failed');
  return reply
    .code(isCallers ? status : 500)
    .header('x-request-id', request.id)
    .send({ error: isCallers ? 'invalid_request' : 'server_error', request_id: request.id });
}

const singleHeaders = new Set(['authorization', 'content-type', 'host']);

/** Node keeps the first of two and says nothing; a proxy before us may have checked the other one (RFC 9110 §5.3). */
function refuseRepeatedHeaders({ raw }: FastifyRequest): void {
  const seen = new Set<string>();
  for (let at = 0; at < raw.rawHeaders.length; at += 2) {
    const name = raw.rawHeaders[at]?.toLowerCase() ?? '';
    if (!singleHeaders.has(name)) continue;
    if (seen.has(name)) throw Object.assign(new Error(`the header ${name} came twice`), { statusCode: 400 });
    seen.add(name);
  }
}
