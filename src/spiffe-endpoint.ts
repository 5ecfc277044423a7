/** Serves the bundle over TLS that an X.509-SVID proves, and takes its renewed files into use. */
import { Server as TlsServer } from 'node:tls';
import type { FastifyBaseLogger } from 'fastify';
import type { BundleRoots, SpiffeBundle } from './core/spiffe-bundle.ts';
import { buildSpiffeEndpoint, spiffeEndpointTls } from './http/spiffe-endpoint.ts';
import { readRoots, requireOwnName, type SpiffeEndpoint } from './spiffe-endpoint-files.ts';
import { renewTls } from './tls-files.ts';

export interface SpiffeEndpointOptions {
  readonly endpoint: SpiffeEndpoint;
  readonly trustDomain: string;
  /** The bundle with these roots in it. */
  readonly bundleWith: (roots: BundleRoots) => SpiffeBundle;
  readonly pollMillis: number;
  readonly logger: FastifyBaseLogger;
}

export interface OpenedSpiffeEndpoint {
  /** With the roots that are in force now. */
  readonly bundle: () => SpiffeBundle;
  close(): Promise<void>;
}

/** Rejects where the address cannot be listened on. */
export async function openSpiffeEndpoint(options: SpiffeEndpointOptions): Promise<OpenedSpiffeEndpoint> {
  const { endpoint, trustDomain, bundleWith, pollMillis, logger } = options;
  const { files, rootsPath, listen, ...pair } = endpoint;
  let { roots } = endpoint;
  let wasReadable = true;
  const bundle = () => bundleWith(roots);
  const app = await buildSpiffeEndpoint({ spiffeBundle: bundle }, pair, logger);
  const stopTls = renewTls(files, pair, {
    pollMillis,
    onRenewed: (renewed) => {
      requireOwnName(renewed.certificate, trustDomain);
      if (app.server instanceof TlsServer) app.server.setSecureContext(spiffeEndpointTls(renewed));
      logger.info('the X.509-SVID of the bundle endpoint was renewed');
    },
    onRefused: (error) =>
      logger.error({ err: error }, 'the renewed X.509-SVID was not taken; the old one stays'),
  });
  const timer = setInterval(() => {
    try {
      const found = readRoots(rootsPath);
      roots = { ...found, changedAt: Math.max(found.changedAt, roots.changedAt) }; // it never goes back
      wasReadable = true;
    } catch (error) {
      if (wasReadable)
        logger.error({ err: error }, 'the roots of the bundle were not taken; the old ones stay');
      wasReadable = false;
    }
  }, pollMillis).unref();
  const close = async () => {
    clearInterval(timer);
    stopTls();
    await app.close();
  };
  try {
    const address = await app.listen(listen);
    logger.info({ address }, 'the bundle endpoint listens');
  } catch (error) {
    await close();
    throw error;
  }
  return { bundle, close };
}
