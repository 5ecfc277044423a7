/** `POST /admin/v1/issuers/{name}/check`: what a saved Issuer document makes of a sample token. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { Secret } from '../../core/secret.ts';
import type { HttpDependencies } from '../dependencies.ts';
import { type Authorize, summarize } from './authorize.ts';
import { AdminProblem } from './problem.ts';
import { describedProblems, secured } from './route-schema.ts';

const bodyLimitBytes = 64 * 1024;

const stepSchema = z.object({
  name: z.string(),
  ok: z.boolean(),
  reason: z.string().optional(),
  detail: z.string().optional().describe('What was expected and what was found.'),
});

const checkSchema = z.object({
  verdict: z
    .enum(['accepted', 'refused', 'unchecked'])
    .describe('What an exchange would say; `unchecked` where only an exchange can tell.'),
  reason: z.string().optional(),
  detail: z.string().optional(),
  spiffe_id: z.string().optional().describe('The identity that the token would get.'),
  steps: z.array(stepSchema).describe('All that could be checked, not only the first failure.'),
  also_accepted_by: z.array(z.string()).describe('Other Issuer documents that the token satisfies.'),
});

export function issuerCheckRoutes(
  authorize: Authorize,
  { checkIssuer, clock, policyBook }: HttpDependencies,
): FastifyPluginAsyncZod {
  return async (app) => {
    app.post(
      '/issuers/:name/check',
      {
        bodyLimit: bodyLimitBytes,
        // The answer quotes claims of the token, as the audit does.
        onRequest: authorize('admin.issuer.check', 'policy:read', 'audit:read'),
        schema: {
          ...secured,
          operationId: 'checkIssuer',
          summary: 'Check a sample token against an Issuer document',
          description: 'Nothing is minted, and the token is neither stored nor logged.',
          params: z.object({ name: z.string().min(1).max(253) }),
          body: z.strictObject({ token: z.string().min(1) }),
          response: {
            200: { description: 'The result.', content: { 'application/json': { schema: checkSchema } } },
            ...describedProblems(400, 401, 403, 404, 413, 415, 429, 503),
          },
        },
      },
      async (request, reply) => {
        const { name } = request.params;
        await policyBook.refresh(); // another replica may just have changed it
        const policy = policyBook.current();
        const issuer = [...policy.issuers.values()].flat().find((candidate) => candidate.name === name);
        if (issuer === undefined) {
          throw new AdminProblem('not-found', { detail: 'There is no Issuer document of this name.' });
        }
        const result = await checkIssuer(new Secret(request.body.token), issuer, policy, clock.now());
        const why = result.reason === undefined ? '' : `, ${result.reason}`;
        summarize(request, `checked a token against Issuer ${name}: ${result.verdict}${why}`);
        const { verdict, reason, detail, spiffeId, steps, alsoAcceptedBy } = result;
        return reply
          .header('cache-control', 'no-store')
          .type('application/json; charset=utf-8')
          .send({
            verdict,
            reason,
            detail,
            spiffe_id: spiffeId,
            steps: steps.map((step) => ({ ...step, ok: step.reason === undefined })),
            also_accepted_by: [...alsoAcceptedBy],
          });
      },
    );
  };
}
