/** `GET /metrics`, for a scraper. It names documents of the policy, so a proxy should keep strangers away from it. */
import type { FastifyPluginAsync } from 'fastify';
import type { HttpDependencies } from './dependencies.ts';

export const metricsRoutes: FastifyPluginAsync<HttpDependencies> = async (app, { metrics }) => {
  app.get('/metrics', async (_request, reply) => {
    const text = await metrics.text();
    return reply.header('cache-control', 'no-store').type(metrics.contentType).send(text);
  });
};
