/** Liveness, and readiness with a reason for each dependency. */
import type { FastifyPluginAsync } from 'fastify';
import type { HttpDependencies, ReadinessCheck } from './dependencies.ts';

const checkTimeoutMillis = 2_000;

export const healthRoutes: FastifyPluginAsync<HttpDependencies> = async (app, { readiness, isDraining }) => {
  app.get('/healthz', async (_request, reply) =>
    reply.header('cache-control', 'no-store').send({ status: 'ok' }),
  );

  app.get('/readyz', async (_request, reply) => {
    const { status, checks } = await reportReadiness(readiness, isDraining());
    return reply
      .code(status === 'not ready' ? 503 : 200)
      .header('cache-control', 'no-store')
      .send({ status, checks });
  });
};

export interface Readiness {
  /** `degraded`: something is missing that exchanges can do without. */
  readonly status: 'ready' | 'degraded' | 'not ready';
  /** `ok`, or why not. */
  readonly checks: Readonly<Record<string, string>>;
}

/** What each dependency answers, within a bounded time. */
export async function reportReadiness(
  readiness: readonly ReadinessCheck[],
  isDraining: boolean,
): Promise<Readiness> {
  const outcomes = await Promise.all(
    readiness.map(async (check) => ({ ...check, outcome: await outcomeOf(check) })),
  );
  const failed = outcomes.filter(({ outcome }) => outcome !== 'ok');
  const checks = {
    ...Object.fromEntries(outcomes.map(({ name, outcome }) => [name, outcome])),
    ...(isDraining ? { server: 'draining' } : {}),
  };
  if (isDraining || failed.some(({ isEssential }) => isEssential)) return { status: 'not ready', checks };
  return { status: failed.length === 0 ? 'ready' : 'degraded', checks };
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
