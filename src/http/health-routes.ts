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
    readiness.map(async (check) => [check.name, await outcomeOf(check)] as const),
  );
  const draining: (readonly [string, string])[] = isDraining ? [['server', 'draining']] : [];
  const checks = Object.fromEntries([...outcomes, ...draining]);
  return { isReady: Object.values(checks).every((outcome) => outcome === 'ok'), checks };
}

/** Checks that are under way, so that any number of callers costs a dependency one question at a time. */
const underWay = new WeakMap<ReadinessCheck, Promise<string>>();

function outcomeOf(check: ReadinessCheck): Promise<string> {
  const joined = underWay.get(check) ?? ask(check).finally(() => underWay.delete(check));
  underWay.set(check, joined);
  return joined;
}

/** `ok`, or a word that gives away neither host names nor credentials of the dependency. */
async function ask({ run }: ReadinessCheck): Promise<string> {
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
