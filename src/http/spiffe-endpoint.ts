/** The bundle's endpoint in the profile `https_spiffe` (SPIFFE Federation §5.2.2): its server proves itself by an X.509-SVID. */
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import type { ServerTls } from './server-tls.ts';
import { type SpiffeBundleOptions, spiffeBundleRoute } from './spiffe-bundle-route.ts';

const requestTimeoutMillis = 5_000;
const timeoutCheckMillis = 1_000; // as the main server has it

/** It serves the bundle and nothing else, and asks nobody for a certificate, as §5.2 wants it. */
export async function buildSpiffeEndpoint(
  options: SpiffeBundleOptions,
  tls: ServerTls,
  logger: FastifyBaseLogger,
): Promise<FastifyInstance> {
  const app: FastifyInstance = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 1,
    requestTimeout: requestTimeoutMillis,
    https: {
      ...spiffeEndpointTls(tls),
      headersTimeout: requestTimeoutMillis,
      connectionsCheckingInterval: timeoutCheckMillis,
    },
    forceCloseConnections: true,
  });
  await app.register(spiffeBundleRoute, options);
  return app;
}

export function spiffeEndpointTls({ certificate, key }: ServerTls) {
  return { cert: certificate, key: key.reveal(), minVersion: 'TLSv1.2' } as const;
}
