/** `/admin/v1/policy/revisions`: who changed what, when and why; and back to what the policy was. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { diffPolicies } from '../../core/policy/diff.ts';
import { sourcesToRollBack } from '../../core/policy/rollback.ts';
import type { HttpDependencies } from '../dependencies.ts';
import { type Authorize, callerOf, eventOf, markRecorded, permitOf, summarize } from './authorize.ts';
import { describeChange, etagOf, revisionOf } from './policy-change.ts';
import {
  diffBody,
  diffSchema,
  ifMatchSchema,
  policyBody,
  policySchema,
  replacedBody,
  replacedSchema,
} from './policy-schema.ts';
import { AdminProblem } from './problem.ts';
import {
  cursorOf,
  revisionBody,
  revisionFromCursor,
  revisionListQuery,
  revisionPageSchema,
  revisionParams,
  revisionSchema,
  revisionViewQuery,
  rollbackQuery,
} from './revision-schema.ts';
import { describedProblems, scopesOfChange, secured } from './route-schema.ts';

const json = 'application/json; charset=utf-8';

const revisionDetailSchema = revisionSchema.extend({
  diff: diffSchema.optional().describe('What it changed, field by field.'),
  ...policySchema.omit({ revision: true }).partial().shape,
});

export function revisionRoutes(
  authorize: Authorize,
  { policyBook, policyHistory, settings }: HttpDependencies,
): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      '/policy/revisions',
      {
        onRequest: authorize('admin.revisions.list', 'policy:read'),
        schema: {
          ...secured,
          operationId: 'listRevisions',
          summary: 'The changes of the policy, newest first',
          querystring: revisionListQuery,
          response: {
            200: { description: 'A page.', content: { 'application/json': { schema: revisionPageSchema } } },
            ...describedProblems(400, 401, 403, 429, 503),
          },
        },
      },
      async (request, reply) => {
        const { limit, cursor, author, since, until } = request.query;
        const below = cursor === undefined ? undefined : revisionFromCursor(cursor);
        const found = await policyHistory.list({ author, since, until, below, limit: limit + 1 });
        const revisions = found.slice(0, limit);
        const last = found.length > limit ? revisions.at(-1) : undefined;
        summarize(request, `listed ${revisions.length} revisions`);
        return reply
          .header('cache-control', 'no-store')
          .type(json)
          .send({
            revisions: revisions.map(revisionBody),
            ...(last === undefined ? {} : { next_cursor: cursorOf(last.revision) }),
          });
      },
    );

    app.get(
      '/policy/revisions/:revision',
      {
        onRequest: authorize('admin.revisions.read', 'policy:read'),
        schema: {
          ...secured,
          operationId: 'getRevision',
          summary: 'One change of the policy: who, when, why and what',
          params: revisionParams,
          querystring: revisionViewQuery,
          response: {
            200: {
              description: 'The change, or the whole policy as it stood then.',
              content: { 'application/json': { schema: revisionDetailSchema } },
            },
            ...describedProblems(400, 401, 403, 404, 429, 503),
          },
        },
      },
      async (request, reply) => {
        const { revision } = request.params;
        const { view } = request.query;
        summarize(request, `read ${view === 'diff' ? 'revision' : 'the policy as of revision'} ${revision}`);
        const found = (await policyHistory.find(revision)) ?? notThere(revision);
        const what =
          view === 'diff'
            ? { diff: diffBody(diffPolicies(found.before, found.after)) }
            : policyBody(revision, (await policyHistory.documentsAt(revision)) ?? notThere(revision));
        return reply
          .header('cache-control', 'no-store')
          .type(json)
          .send({ ...what, ...revisionBody(found) });
      },
    );

    app.post(
      '/policy/revisions/:revision/rollback',
      {
        onRequest: authorize('admin.policy.rollback', 'policy:write'),
        schema: {
          ...secured,
          operationId: 'rollBackPolicy',
          summary: 'Make the policy what it was at a revision, as a new revision',
          description: `Checked like any change, by the rules of today; refused where it would take a change of what the file manages. \`If-Match\` is the \`ETag\` of the whole policy. ${scopesOfChange}`,
          params: revisionParams,
          querystring: rollbackQuery,
          headers: z.looseObject({ 'if-match': ifMatchSchema }),
          response: {
            200: {
              description: 'What changed.',
              content: { 'application/json': { schema: replacedSchema } },
            },
            ...describedProblems(400, 401, 403, 404, 409, 412, 422, 429, 503),
          },
        },
      },
      async (request, reply) => {
        const { revision } = request.params;
        const isDryRun = request.query.dryRun === 'true';
        const reason = `rollback to ${revision}`;
        const earlier = (await policyHistory.documentsAt(revision)) ?? notThere(revision);
        const replaced = await policyBook.replace((stored) => sourcesToRollBack(stored, earlier), {
          managedBy: 'rest',
          author: callerOf(request).name,
          reason,
          ifRevision: revisionOf(request.headers['if-match']),
          dryRun: isDryRun,
          permit: permitOf(request, { isDryRun, issuer: settings.issuer }),
          event: (outcome) => {
            summarize(request, describeChange(outcome, { isDryRun, reason }));
            return eventOf(request);
          },
        });
        if (isDryRun) summarize(request, describeChange(replaced, { isDryRun, reason }));
        else markRecorded(request);
        if (!isDryRun) reply.header('etag', etagOf(replaced.revision));
        return reply.header('cache-control', 'no-store').type(json).send(replacedBody(replaced));
      },
    );
  };
}

function notThere(revision: number): never {
  throw new AdminProblem('not-found', { detail: `The policy has no revision ${revision}.` });
}
