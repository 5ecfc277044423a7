/** Liveness, and readiness with a reason for each dependency. */
import type { FastifyPluginAsync } from 'fastify';
import type { HttpDependencies, ReadinessCheck } from './dependencies.ts';

const checkTimeoutMillis = 2_000;

export const healthRoutes: FastifyPluginAsync<HttpDependencies> = async (app, { readiness, isDraining }) => {
  app.get('/healthz', async (_request, reply) =>
    reply.header('cache-control', 'no-store').send({ status: 'ok' }),
  );

  app.get('/readyz', async (_request, reply) => {
    const { isReady, checks } = await reportReadiness(readiness, isDraining());
    return reply
      .code(isReady ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ status: isReady ? 'ready' : 'not ready', checks });
  });
};

/** What each dependency answers, within a bounded time: `ok`, or why not. */
export async function reportReadiness(
  readiness: readonly ReadinessCheck[],
  isDraining: boolean,
): Promise<{ readonly isReady: boolean; readonly checks: Readonly<Record<string, string>> }> {
  const outcomes = await Promise.all(
    readiness.map(async ({ name, run }) => [name, await outcomeOf(run)] as const),
  );
  const draining: (readonly [string, string])[] = isDraining ? [['server', 'draining']] : [];
  const checks = Object.fromEntries([...outcomes, ...draining]);
  return { isReady: Object.values(checks).every((outcome) => outcome === 'ok'), checks };
}

/** `ok`, or a word that gives away neither host names nor credentials of the dependency. */
async function outcomeOf(run: () => Promise<void>): Promise<string> {
  const { promise: timeout, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => resolve('no answer in time'), checkTimeoutMillis);
  try {
    return await Promise.race([run().then(() => 'ok'), timeout]);
  } catch {
    return 'unavailable';
  } finally {
    clearTimeout(timer);
  }
}
