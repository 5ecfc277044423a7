/** `GET /admin/v1/audit-events/{request_id}`: the whole reason behind the `request_id` of an answer. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { HttpDependencies } from '../dependencies.ts';
import { auditEventBody, auditEventSchema } from './audit-event-schema.ts';
import { type Authorize, summarize } from './authorize.ts';
import { AdminProblem } from './problem.ts';
import { describedProblems, secured } from './route-schema.ts';

export function auditEventRoutes(
  authorize: Authorize,
  { auditLog }: HttpDependencies,
): FastifyPluginAsyncZod {
  return async (app) => {
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
        const event = await auditLog.find(requestId);
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
