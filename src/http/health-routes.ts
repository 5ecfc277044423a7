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
    readiness.map(async (check) => [check.name, await sharedOutcomeOf(check)] as const),
  );
  const draining: (readonly [string, string])[] = isDraining ? [['server', 'draining']] : [];
  const checks = Object.fromEntries([...outcomes, ...draining]);
  return { isReady: Object.values(checks).every((outcome) => outcome === 'ok'), checks };
}

/** Anyone may ask whether we are ready: however many ask at once, a dependency is asked once. */
const underWay = new WeakMap<ReadinessCheck, Promise<string>>();

function sharedOutcomeOf(check: ReadinessCheck): Promise<string> {
  const known = underWay.get(check);
  if (known !== undefined) return known;
  const outcome = outcomeOf(check.run).finally(() => underWay.delete(check));
  underWay.set(check, outcome);
  return outcome;
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
