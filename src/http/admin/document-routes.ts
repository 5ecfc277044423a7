/** `/admin/v1/issuers`, `/trust-domains`, `/resources` and `/grants`: the policy, one document at a time. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ChangeOutcome } from '../../core/policy/book.ts';
import type { Kind } from '../../core/policy/document.ts';
import { grantsForSubject } from '../../core/policy/grants-for-subject.ts';
import type { PolicySnapshot } from '../../core/policy/snapshot.ts';
import { parseSpiffeId } from '../../core/spiffe-id.ts';
import type { HttpDependencies } from '../dependencies.ts';
import { type Authorize, callerOf, eventOf, markRecorded, permitOf, summarize } from './authorize.ts';
import { createChangeDocument, documentEtag, findDocument } from './document-change.ts';
import { listDocuments } from './document-list.ts';
import {
  deleteHeaders,
  documentParams,
  grantFilterSchema,
  listQueryOf,
  putHeaders,
  requireNamed,
} from './document-schema.ts';
import {
  documentSchema,
  policyBody,
  policySchema,
  replacedBody,
  replacedSchema,
  replaceQuerySchema,
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
import { describedProblems, scopesOfChange, secured } from './route-schema.ts';

const collections = [
  ['Issuer', 'issuers'],
  ['TrustDomain', 'trust-domains'],
  ['Resource', 'resources'],
  ['Grant', 'grants'],
] as const satisfies readonly (readonly [Kind, string])[];

const json = 'application/json; charset=utf-8';

const documentPageSchema = policySchema
  .extend({ next_cursor: z.string().optional().describe('Absent on the last page.') })
  .meta({ id: 'DocumentPage' });

export function documentRoutes(
  authorize: Authorize,
  { policyBook, readPolicyText, settings, writePolicyText }: HttpDependencies,
): FastifyPluginAsyncZod {
  return async (app) => {
    acceptYaml(app);
    const changeDocument = createChangeDocument(policyBook);

    for (const [kind, collection] of collections) {
      const action = `admin.${collection}`;
      const path = `/${collection}/:name`;

      app.get(
        `/${collection}`,
        {
          onRequest: authorize(`${action}.list`, 'policy:read'),
          schema: {
            ...secured,
            operationId: `list${kind}s`,
            summary: `The ${kind} documents, by name`,
            querystring: listQueryOf(kind),
            response: {
              200: {
                description: 'A page.',
                content: { 'application/json': { schema: documentPageSchema } },
              },
              ...describedProblems(400, 401, 403, 429, 503),
            },
          },
        },
        async (request, reply) => {
          await policyBook.refresh(); // another replica may just have changed it
          const snapshot = policyBook.current();
          const { revision, documents } = snapshot;
          const { label, text, limit, cursor, ...more } = request.query;
          const labels = label === undefined ? [] : [label].flat();
          const { resource, subject } = grantFilterSchema.parse(more);
          const names = subject === undefined ? undefined : grantNamesFor(snapshot, subject);
          const page = listDocuments(documents, { kind, labels, text, resource, names }, { limit, cursor });
          summarize(request, `listed ${page.documents.length} ${collection} at revision ${revision}`);
          return reply
            .header('cache-control', 'no-store')
            .type(json)
            .send({
              ...policyBody(revision, page.documents),
              ...(page.nextCursor === undefined ? {} : { next_cursor: page.nextCursor }),
            });
        },
      );

      app.get(
        path,
        {
          onRequest: authorize(`${action}.read`, 'policy:read'),
          schema: {
            ...secured,
            operationId: `get${kind}`,
            summary: `One ${kind}, as its author wrote it`,
            params: documentParams,
            response: {
              200: {
                description: 'The document.',
                content: {
                  'application/json': { schema: documentSchema },
                  [yamlType]: { schema: z.string() },
                },
              },
              ...describedProblems(400, 401, 403, 404, 429, 503),
            },
          },
        },
        async (request, reply) => {
          await policyBook.refresh();
          const { revision, documents } = policyBook.current();
          const document = findDocument(documents, kind, request.params.name);
          summarize(request, `read ${kind}/${request.params.name} at revision ${revision}`);
          if (document === undefined) throw new AdminProblem('not-found');
          reply
            .header('etag', documentEtag(document))
            .header('cache-control', 'no-store')
            .header('vary', 'accept');
          if (prefersYaml(request.headers.accept)) return sendYaml(reply, writePolicyText([document]));
          return reply.type(json).send(documentSchema.parse(document.body));
        },
      );

      app.put(
        path,
        {
          bodyLimit: bodyLimitBytes,
          onRequest: authorize(`${action}.put`, 'policy:write'),
          schema: {
            ...secured,
            operationId: `put${kind}`,
            summary: `Create one ${kind}, or replace it whole`,
            description: `The \`ETag\` is the document’s own. An equal document changes nothing. ${scopesOfChange}`,
            consumes: ['application/json', yamlType],
            params: documentParams,
            querystring: replaceQuerySchema,
            headers: putHeaders,
            body: z.union([documentSchema, z.string()]),
            response: {
              200: {
                description: 'Replaced, or a dry run.',
                content: { 'application/json': { schema: replacedSchema } },
              },
              201: { description: 'Created.', content: { 'application/json': { schema: replacedSchema } } },
              ...describedProblems(400, 401, 403, 409, 412, 413, 415, 422, 429, 503),
            },
          },
        },
        async (request, reply) => {
          const { body, query, headers } = request;
          const { name } = request.params;
          const isDryRun = query.dryRun === 'true';
          const sources =
            typeof body === 'string' ? readPolicyText(body, { managedBy: 'rest' }) : [sourceFromJson(body)];
          const changed = await changeDocument({
            kind,
            name,
            source: requireNamed(sources, kind, name),
            ifMatch: headers['if-match'],
            ifNoneMatch: headers['if-none-match'],
            author: callerOf(request).name,
            reason: query.reason,
            dryRun: isDryRun,
            permit: permitOf(request, { isDryRun, issuer: settings.issuer }),
            event: (outcome, before) => {
              const verb = before === undefined ? 'created' : 'put';
              summarize(request, describe(`${verb} ${kind}/${name}`, outcome, query.reason));
              return eventOf(request);
            },
          });
          if (isDryRun) summarize(request, describeDryRun(`put ${kind}/${name}`, query.reason));
          else markRecorded(request);
          const now = findDocument(changed.snapshot.documents, kind, name);
          if (!isDryRun && now !== undefined) reply.header('etag', documentEtag(now));
          const isCreated = !isDryRun && changed.before === undefined;
          if (isCreated) reply.header('location', `/admin/v1/${collection}/${name}`);
          return reply
            .code(isCreated ? 201 : 200)
            .header('cache-control', 'no-store')
            .type(json)
            .send(replacedBody(changed));
        },
      );

      app.delete(
        path,
        {
          onRequest: authorize(`${action}.delete`, 'policy:write'),
          schema: {
            ...secured,
            operationId: `delete${kind}`,
            summary: `Delete one ${kind} that nothing refers to`,
            description: `A document that is gone already is no error, so that a DELETE can be sent again. ${scopesOfChange}`,
            params: documentParams,
            querystring: replaceQuerySchema,
            headers: deleteHeaders,
            response: {
              204: z.null().describe('It is gone; after a dry run, it could go.'),
              ...describedProblems(400, 401, 403, 409, 412, 422, 429, 503),
            },
          },
        },
        async (request, reply) => {
          const { name } = request.params;
          const { reason } = request.query;
          const isDryRun = request.query.dryRun === 'true';
          await changeDocument({
            kind,
            name,
            source: undefined,
            ifMatch: request.headers['if-match'],
            ifNoneMatch: undefined,
            author: callerOf(request).name,
            reason,
            dryRun: isDryRun,
            permit: permitOf(request, { isDryRun, issuer: settings.issuer }),
            event: (outcome) => {
              summarize(request, describe(`deleted ${kind}/${name}`, outcome, reason));
              return eventOf(request);
            },
          });
          if (isDryRun) summarize(request, describeDryRun(`deleted ${kind}/${name}`, reason));
          else markRecorded(request);
          return reply.code(204).header('cache-control', 'no-store').send(null);
        },
      );
    }
  };
}

/** The names of the grants that a workload of this ID could have. */
function grantNamesFor(snapshot: PolicySnapshot, subject: string): ReadonlySet<string> {
  const spiffeId = parseSpiffeId(subject);
  const grants = spiffeId === undefined ? [] : grantsForSubject(snapshot, spiffeId);
  return new Set(grants.map(({ name }) => name));
}

/** One line for the audit. */
function describe(what: string, { revision }: ChangeOutcome, reason: string | undefined): string {
  return withReason(`${what}; now at revision ${revision}`, reason);
}

function describeDryRun(what: string, reason: string | undefined): string {
  return withReason(`dry run: ${what}`, reason);
}

function withReason(line: string, reason: string | undefined): string {
  return reason === undefined ? line : `${line}; reason: ${reason}`;
}
