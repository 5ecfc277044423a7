/** `/admin/v1/policy`: the whole policy, read and replaced atomically. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Json } from '../../core/json.ts';
import { diffPolicies, isEmptyDiff } from '../../core/policy/diff.ts';
import { PolicyRefused } from '../../core/policy/refused.ts';
import type { PolicySnapshot } from '../../core/policy/snapshot.ts';
import { documentLabel, type PolicySource } from '../../core/policy/source.ts';
import type { HttpDependencies } from '../dependencies.ts';
import {
  type Authorize,
  callerOf,
  eventOf,
  markRecorded,
  permitOf,
  requireScope,
  summarize,
} from './authorize.ts';
import { describeChange, etagOf, revisionOf } from './policy-change.ts';
import {
  ifMatchSchema,
  policyBody,
  policyBodySchema,
  policySchema,
  replacedBody,
  replacedSchema,
  replaceQuerySchema,
  replayBody,
} from './policy-schema.ts';
import {
  acceptYaml,
  bodyLimitBytes,
  prefersYaml,
  sendYaml,
  sourceFromJson,
  yamlType,
} from './policy-text.ts';
import { AdminProblem } from './problem.ts';
import { readable } from './readable-audit.ts';
import { describedProblems, scopesOfChange, secured } from './route-schema.ts';

export function policyRoutes(
  authorize: Authorize,
  {
    auditLog,
    clock,
    policyBook,
    readPolicyText,
    replayAttempts,
    settings,
    writePolicyText,
  }: HttpDependencies,
): FastifyPluginAsyncZod {
  const replayed = async (limit: number, before: PolicySnapshot, after: PolicySnapshot) => {
    if (limit === 0) return {};
    const events = await readable(auditLog.list({ action: 'token.exchange' }, { limit }));
    return { replay: replayBody(replayAttempts(events, before, after, clock.now())) };
  };
  return async (app) => {
    acceptYaml(app);

    app.get(
      '/policy',
      {
        onRequest: authorize('admin.policy.read', 'policy:read'),
        schema: {
          ...secured,
          operationId: 'getPolicy',
          summary: 'The whole policy',
          description: '`ETag` is the revision. `Accept: application/yaml` gives the documents as YAML.',
          response: {
            200: {
              description: 'The policy in force.',
              content: { 'application/json': { schema: policySchema }, [yamlType]: { schema: z.string() } },
            },
            ...describedProblems(401, 403, 429, 503),
          },
        },
      },
      async (request, reply) => {
        await policyBook.refresh(); // another replica may just have changed it
        const { revision, documents } = policyBook.current();
        summarize(request, `read the policy at revision ${revision}`);
        reply.header('etag', etagOf(revision)).header('cache-control', 'no-store').header('vary', 'accept');
        if (prefersYaml(request.headers.accept)) {
          return sendYaml(reply, writePolicyText(documents));
        }
        return reply.type('application/json; charset=utf-8').send(policyBody(revision, documents));
      },
    );

    app.put(
      '/policy',
      {
        bodyLimit: bodyLimitBytes,
        onRequest: authorize('admin.policy.replace', 'policy:write'),
        schema: {
          ...secured,
          operationId: 'replacePolicy',
          summary: 'Replace everything that is not managed by file',
          description: `All or nothing. \`If-Match\` with the \`ETag\` of GET keeps two writers apart. ${scopesOfChange}`,
          consumes: ['application/json', yamlType],
          querystring: replaceQuerySchema,
          headers: z.looseObject({ 'if-match': ifMatchSchema }),
          body: z.union([policyBodySchema, z.string()]),
          response: {
            200: {
              description: 'What changed.',
              content: { 'application/json': { schema: replacedSchema } },
            },
            ...describedProblems(400, 401, 403, 409, 412, 413, 415, 422, 429, 503),
          },
        },
      },
      async (request, reply) => {
        const { body, query } = request;
        const isDryRun = query.dryRun === 'true';
        const { replay = 0 } = query;
        if (replay > 0) {
          if (!isDryRun) throw new AdminProblem('malformed-request', { detail: 'replay needs dryRun=true.' });
          requireScope(request, 'audit:read', settings);
          await policyBook.refresh();
        }
        const before = policyBook.current();
        const sources =
          typeof body === 'string'
            ? requireSome(readPolicyText(body, { managedBy: 'rest' }))
            : body.documents.map(sourceFromJson);
        const replaced = await policyBook.replace(withoutUntouched(sources, before), {
          managedBy: 'rest',
          author: callerOf(request).name,
          reason: query.reason,
          ifRevision: expectedRevision(
            request.headers['if-match'],
            typeof body === 'string' ? undefined : body.revision,
          ),
          dryRun: isDryRun,
          permit: permitOf(request, { isDryRun, issuer: settings.issuer }),
          event: (outcome) => {
            summarize(request, describeChange(outcome, { isDryRun, reason: query.reason }));
            return eventOf(request);
          },
        });
        if (isDryRun) {
          const change = describeChange(replaced, { isDryRun, reason: query.reason });
          summarize(request, replay > 0 ? `${change}; replayed the latest ${replay} exchanges` : change);
        } else markRecorded(request);
        if (!isDryRun) reply.header('etag', etagOf(replaced.revision));
        return reply
          .header('cache-control', 'no-store')
          .type('application/json; charset=utf-8')
          .send({ ...replacedBody(replaced), ...(await replayed(replay, before, replaced.snapshot)) });
      },
    );
  };
}

function expectedRevision(ifMatch: string | undefined, inBody: number | undefined): number | undefined {
  const inHeader = revisionOf(ifMatch);
  if (inHeader !== undefined && inBody !== undefined && inHeader !== inBody) {
    throw new AdminProblem('malformed-request', {
      detail: 'If-Match and the body name different revisions.',
    });
  }
  return inHeader ?? inBody;
}

/** Leaves out what the file manages and nobody changed, so that what GET gives can be edited and sent back. */
function withoutUntouched(sources: readonly PolicySource[], { documents }: PolicySnapshot) {
  const byFile = documents.filter(({ managedBy }) => managedBy === 'file');
  const stored = new Map(byFile.map((document) => [`${document.kind}/${document.name}`, document]));
  return sources.filter(({ value }) => {
    const document = stored.get(documentLabel(value));
    return (
      document === undefined || !isEmptyDiff(diffPolicies([document], [{ ...document, body: value as Json }]))
    );
  });
}

/** An empty file is a mistake far more often than the wish to remove everything, which JSON can say. */
function requireSome(sources: readonly PolicySource[]): readonly PolicySource[] {
  if (sources.length > 0) return sources;
  const message = 'the text holds no document; to remove every document, send {"documents": []} as JSON';
  throw new PolicyRefused([{ document: 'policy', field: '', message }]);
}
