/** `POST /admin/v1/explain`: what the exchange would say to a credential or to claims, and every grant's reason. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { HttpDependencies } from '../dependencies.ts';
import { type Authorize, callerOf, summarize } from './authorize.ts';
import { explanationBody, explanationSchema, questionSchema, readQuestion } from './explain-schema.ts';
import { AdminProblem } from './problem.ts';
import { describedProblems, secured } from './route-schema.ts';

const bodyLimitBytes = 64 * 1024;

export function explainRoutes(
  authorize: Authorize,
  { explain, clock, policyBook }: HttpDependencies,
): FastifyPluginAsyncZod {
  return async (app) => {
    app.post(
      '/explain',
      {
        bodyLimit: bodyLimitBytes,
        onRequest: authorize('admin.explain', 'policy:read'),
        schema: {
          ...secured,
          operationId: 'explain',
          summary: 'What an exchange would say, and why',
          description:
            'A credential is verified as in an exchange, but no platform is asked about it, no one-time use is used up, nothing is minted, and it is neither stored nor logged.',
          body: questionSchema,
          response: {
            200: {
              description: 'The answer.',
              content: { 'application/json': { schema: explanationSchema } },
            },
            ...describedProblems(400, 401, 403, 413, 415, 429, 503),
          },
        },
      },
      async (request, reply) => {
        const isCredential = request.body.credential !== undefined;
        // The answer quotes claims of the credential, as the audit does.
        if (isCredential && !callerOf(request).scopes.has('audit:read')) {
          throw new AdminProblem('forbidden', { detail: 'A credential needs the scope audit:read besides.' });
        }
        const question = readQuestion(request.body);
        await policyBook.refresh(); // another replica may just have changed it
        const policy = policyBook.current();
        const nowMillis = request.body.at === undefined ? clock.now() : Date.parse(request.body.at);
        const explanation = await explain(question, policy, nowMillis);
        const { outcome, reason } = explanation;
        const what = isCredential ? 'a credential' : 'claims';
        summarize(request, `explained ${what}: ${outcome}${reason === undefined ? '' : `, ${reason}`}`);
        return reply
          .header('cache-control', 'no-store')
          .type('application/json; charset=utf-8')
          .send(explanationBody(explanation, question, policy.revision, nowMillis));
      },
    );
  };
}
