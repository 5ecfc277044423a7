/** `POST /admin/v1/issuers/{name}/check`: what an Issuer document, saved or not, makes of a sample token. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { noteCredential, noteIdentity } from '../../core/attempt.ts';
import { Secret } from '../../core/secret.ts';
import type { HttpDependencies } from '../dependencies.ts';
import { type Authorize, eventOf, requireScope, summarize } from './authorize.ts';
import { planDocument } from './document-change.ts';
import { requireNamed } from './document-schema.ts';
import { documentSchema } from './policy-schema.ts';
import { sourceFromJson } from './policy-text.ts';
import { AdminProblem } from './problem.ts';
import { describedProblems, secured } from './route-schema.ts';

const bodyLimitBytes = 256 * 1024;

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
  { checkIssuer, checkUnsavedIssuer, clock, policyBook, settings }: HttpDependencies,
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
          description:
            'Nothing is minted, and the token is neither stored nor logged. With `document`, it is checked against that one instead of the saved one, which also needs `policy:admin`, since the server then fetches the keys that it names.',
          params: z.object({ name: z.string().min(1).max(253) }),
          body: z.strictObject({
            token: z.string().min(1),
            document: documentSchema.optional().describe('An Issuer that is not saved, of the path’s name.'),
          }),
          response: {
            200: { description: 'The result.', content: { 'application/json': { schema: checkSchema } } },
            ...describedProblems(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
          },
        },
      },
      async (request, reply) => {
        const { name } = request.params;
        const { token, document } = request.body;
        if (document !== undefined) requireScope(request, 'policy:admin', settings);
        await policyBook.refresh(); // another replica may just have changed it
        const policy =
          document === undefined
            ? policyBook.current()
            : await planDocument(
                policyBook,
                'Issuer',
                name,
                requireNamed([sourceFromJson(document)], 'Issuer', name),
              );
        const issuer = [...policy.issuers.values()].flat().find((candidate) => candidate.name === name);
        if (issuer === undefined) {
          throw new AdminProblem('not-found', { detail: 'There is no Issuer document of this name.' });
        }
        const event = eventOf(request);
        const sample = new Secret(token);
        noteCredential(event, { lane: 'subject_token', token: sample });
        const check = document === undefined ? checkIssuer : checkUnsavedIssuer;
        const result = await check(sample, issuer, policy, clock.now());
        const why = result.reason === undefined ? '' : `, ${result.reason}`;
        const which = document === undefined ? 'Issuer' : 'the unsaved Issuer';
        summarize(request, `checked a token against ${which} ${name}: ${result.verdict}${why}`);
        const { verdict, reason, detail, identity, steps, alsoAcceptedBy } = result;
        if (identity !== undefined) noteIdentity(event, identity);
        return reply
          .header('cache-control', 'no-store')
          .type('application/json; charset=utf-8')
          .send({
            verdict,
            reason,
            detail,
            spiffe_id: identity?.spiffeId,
            steps: steps.map((step) => ({ ...step, ok: step.reason === undefined })),
            also_accepted_by: [...alsoAcceptedBy],
          });
      },
    );
  };
}
