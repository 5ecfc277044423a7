/** `/admin/v1/audit-events`: what happened, and the whole reason behind the `request_id` of an answer. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { HttpDependencies } from '../dependencies.ts';
import { prefersToJson } from './accept.ts';
import {
  auditEventsQuery,
  auditFilterOf,
  cursorOf,
  describeFilter,
  positionOf,
} from './audit-event-query.ts';
import { auditEventBody, auditEventSchema } from './audit-event-schema.ts';
import { createSendLines, exportEvents, linesType } from './audit-export.ts';
import { type Authorize, summarize } from './authorize.ts';
import { AdminProblem } from './problem.ts';
import { readable } from './readable-audit.ts';
import { describedProblems, secured } from './route-schema.ts';

const auditEventPageSchema = z.object({
  events: z.array(auditEventSchema).describe('The newest first.'),
  next_cursor: z.string().optional().describe('Absent on the last page.'),
});

const defaultLimit = 50;

export function auditEventRoutes(
  authorize: Authorize,
  { auditLog }: Pick<HttpDependencies, 'auditLog'>,
  exportStallMillis = 60_000,
): FastifyPluginAsyncZod {
  return async (app) => {
    const sendLines = createSendLines(app, exportStallMillis);
    app.get(
      '/audit-events',
      {
        exposeHeadRoute: false, // it would read a whole export to throw it away
        onRequest: authorize('admin.audit.list', 'audit:read'),
        schema: {
          ...secured,
          operationId: 'listAuditEvents',
          summary: 'What happened, the newest first',
          description:
            'With `Accept: application/x-ndjson` everything that matches, an event a line. The last line is ' +
            '`{"complete":true,"events":N}`: an export without it was cut short. Events that are being written meanwhile may be missing.',
          querystring: auditEventsQuery,
          response: {
            200: {
              description: 'A page, or the export.',
              content: {
                'application/json': { schema: auditEventPageSchema },
                [linesType]: { schema: z.string() },
              },
            },
            ...describedProblems(400, 401, 403, 429, 503),
          },
        },
      },
      async (request, reply) => {
        const { query } = request;
        const { limit = defaultLimit, cursor } = query;
        const filter = auditFilterOf(query);
        reply.header('cache-control', 'no-store').header('vary', 'accept');
        if (prefersToJson(request.headers.accept, linesType)) {
          if (query.limit !== undefined || cursor !== undefined) {
            throw new AdminProblem('malformed-request', {
              detail: 'An export has no pages: narrow it by since and until.',
            });
          }
          summarize(request, `exported audit events${describeFilter(query)}`);
          return sendLines(reply, await readable(exportEvents(auditLog, filter)));
        }
        const after = cursor === undefined ? undefined : positionOf(cursor);
        const found = await readable(auditLog.list(filter, { limit: limit + 1, after }));
        const events = found.slice(0, limit);
        const last = found.length > limit ? events.at(-1) : undefined;
        summarize(request, `listed ${events.length} audit events${describeFilter(query)}`);
        return reply.type('application/json; charset=utf-8').send({
          events: events.map(auditEventBody),
          ...(last === undefined ? {} : { next_cursor: cursorOf(last) }),
        });
      },
    );

    app.get(
      '/audit-events/:request_id',
      {
        onRequest: authorize('admin.audit.read', 'audit:read'),
        schema: {
          ...secured,
          operationId: 'getAuditEvent',
          summary: 'Why one request ended as it did',
          params: z.object({
            request_id: z.uuid().describe('The `request_id` of the answer, or its `x-request-id` header.'),
          }),
          response: {
            200: { description: 'The event.', content: { 'application/json': { schema: auditEventSchema } } },
            ...describedProblems(400, 401, 403, 404, 429, 503),
          },
        },
      },
      async (request, reply) => {
        const { request_id: requestId } = request.params;
        summarize(request, `read audit event ${requestId}`);
        const event = await readable(auditLog.find(requestId));
        if (event === undefined) {
          throw new AdminProblem('not-found', {
            detail: `No audit event has the request id ${requestId}. Refusals past an address's cap leave none.`,
          });
        }
        return reply
          .header('cache-control', 'no-store')
          .type('application/json; charset=utf-8')
          .send(auditEventBody(event));
      },
    );
  };
}
