/** The SPIFFE bundle of our own trust domain (SPIFFE Federation §5): anybody may read it, and nobody has to say who asks. */
import type { FastifyPluginAsync } from 'fastify';
import { paths } from '../core/discovery.ts';
import type { SpiffeBundle } from '../core/spiffe-bundle.ts';
import { sendCacheable } from './send-cacheable.ts';

export interface SpiffeBundleOptions {
  readonly spiffeBundle: () => SpiffeBundle;
}

export const spiffeBundleRoute: FastifyPluginAsync<SpiffeBundleOptions> = async (app, { spiffeBundle }) => {
  app.get(paths.spiffeBundle, (request, reply) => {
    const bundle = spiffeBundle();
    return sendCacheable(request, reply, bundle.spiffe_refresh_hint, 'application/json', bundle);
  });
};
