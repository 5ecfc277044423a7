/** `GET /admin/v1/status`: what this replica runs on. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { kinds } from '../../core/policy/document.ts';
import type { PolicySnapshot } from '../../core/policy/snapshot.ts';
import type { HttpDependencies } from '../dependencies.ts';
import { reportReadiness } from '../health-routes.ts';
import { type Authorize, summarize } from './authorize.ts';
import { describedProblems, secured } from './route-schema.ts';

const statusSchema = z.object({
  issuer: z.string(),
  versions: z.object({ mintmark: z.string(), node: z.string() }),
  policy: z.object({
    revision: z.int(),
    documents: z.record(z.string(), z.int()).describe('How many of each kind.'),
  }),
  keys: z.array(
    z.object({ kid: z.string(), alg: z.string(), signing: z.boolean().describe('Whether it signs now.') }),
  ),
  ready: z.boolean().describe('Whether it serves exchanges, though something may be missing.'),
  checks: z.record(z.string(), z.string()).describe('`ok`, or why not, for each dependency.'),
});

export function statusRoutes(authorize: Authorize, dependencies: HttpDependencies): FastifyPluginAsyncZod {
  const { settings, policyBook, keyRing, readiness, isDraining } = dependencies;
  return async (app) => {
    app.get(
      '/status',
      {
        onRequest: authorize('admin.status.read', 'status:read'),
        schema: {
          ...secured,
          operationId: 'getStatus',
          summary: 'What this replica runs on',
          response: {
            200: { description: 'This replica.', content: { 'application/json': { schema: statusSchema } } },
            ...describedProblems(401, 403, 429, 503),
          },
        },
      },
      async (request, reply) => {
        summarize(request, 'read the status');
        const { status, checks } = await reportReadiness(readiness, isDraining());
        const policy = policyBook.current();
        return reply
          .header('cache-control', 'no-store')
          .type('application/json; charset=utf-8')
          .send({
            issuer: settings.issuer,
            versions: { mintmark: settings.version, node: process.versions.node },
            policy: { revision: policy.revision, documents: countByKind(policy) },
            keys: keyRing
              .list()
              .map(({ kid, algorithm, state }) => ({ kid, alg: algorithm, signing: state === 'active' })),
            ready: status !== 'not ready',
            checks,
          });
      },
    );
  };
}

function countByKind({ documents }: PolicySnapshot): Record<string, number> {
  return Object.fromEntries(
    kinds.map((kind) => [kind, documents.filter((document) => document.kind === kind).length]),
  );
}
