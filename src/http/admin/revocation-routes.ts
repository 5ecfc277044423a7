/** `/admin/v1/revocations`: what is revoked, and to revoke a token, an identity, an issuer or a key. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { lastsUntil, momentAfter } from '../../core/revocation-life.ts';
import { revocationTarget } from '../../core/revocation-target.ts';
import type { HttpDependencies } from '../dependencies.ts';
import { type Authorize, callerOf, eventOf, markRecorded, summarize } from './authorize.ts';
import { AdminProblem } from './problem.ts';
import {
  cursorOf,
  idFromCursor,
  namedIn,
  revocationBody,
  revocationListQuery,
  revocationOrderSchema,
  revocationPageSchema,
  revocationSchema,
} from './revocation-schema.ts';
import { describedProblems, secured } from './route-schema.ts';

const json = 'application/json; charset=utf-8';
const longestBanMillis = 400 * 86_400_000;

export function revocationRoutes(
  authorize: Authorize,
  { clock, keyRing, keyRings, policyBook, revocations }: HttpDependencies,
): FastifyPluginAsyncZod {
  /** Whose tokens are never shown to us, so that to revoke the key here would do nothing, and say that it did. */
  const isOfAnotherRing = (kid: string) =>
    keyRings.some((ring) => ring !== keyRing && ring.list().some((key) => key.kid === kid));

  return async (app) => {
    app.get(
      '/revocations',
      {
        onRequest: authorize('admin.revocations.list', 'tokens:revoke'),
        schema: {
          ...secured,
          operationId: 'listRevocations',
          summary: 'What is revoked, the latest first',
          description: 'What can cover no living token any more is left out; the audit has it.',
          querystring: revocationListQuery,
          response: {
            200: {
              description: 'A page.',
              content: { 'application/json': { schema: revocationPageSchema } },
            },
            ...describedProblems(400, 401, 403, 429, 503),
          },
        },
      },
      async (request, reply) => {
        const { limit, cursor, kind, target } = request.query;
        const below = cursor === undefined ? undefined : idFromCursor(cursor);
        const found = await revocations.list({ kind, target, below, limit: limit + 1 });
        const page = found.slice(0, limit);
        const last = found.length > limit ? page.at(-1) : undefined;
        summarize(request, `listed ${page.length} revocations`);
        return reply
          .header('cache-control', 'no-store')
          .type(json)
          .send({
            revocations: page.map(revocationBody),
            ...(last === undefined ? {} : { next_cursor: cursorOf(last.id) }),
          });
      },
    );

    app.post(
      '/revocations',
      {
        onRequest: authorize('admin.revocations.make', 'tokens:revoke'),
        schema: {
          ...secured,
          operationId: 'revoke',
          summary: 'Revoke a token, an identity, an issuer or a key, on every replica',
          description:
            'What was issued before now is refused from now on. To end `not_until` early, revoke once more without it.',
          body: revocationOrderSchema,
          response: {
            201: {
              description: 'It is durable, and in force.',
              content: { 'application/json': { schema: revocationSchema } },
            },
            ...describedProblems(400, 401, 403, 413, 415, 429, 503),
          },
        },
      },
      async (request, reply) => {
        const { not_until: notUntilText, reason } = request.body;
        const { kind, name } = namedIn(request.body);
        if (kind === 'key' && isOfAnotherRing(name)) {
          throw new AdminProblem('malformed-request', {
            detail:
              'key: signs JWT-SVIDs, which others verify: take it out of the bundle by POST /admin/v1/keys/{kid}/revoke',
          });
        }
        if (kind === 'issuer') await policyBook.refresh(); // another replica may just have changed it
        const target = revocationTarget(kind, name, policyBook.current(), (kid) =>
          keyRing.list().some((key) => key.kid === kid && key.state !== 'retiring'),
        );
        if (typeof target === 'string') throw new AdminProblem('malformed-request', { detail: target });
        const at = clock.now();
        const notUntil = notUntilText === undefined ? undefined : Date.parse(notUntilText);
        if (notUntil !== undefined && !(notUntil > at && notUntil <= at + longestBanMillis)) {
          throw new AdminProblem('malformed-request', {
            detail: 'not_until: must be later than now, and by 400 days at most',
          });
        }
        const before = momentAfter(at, notUntil);
        const made = await revocations.revoke({
          ...target,
          owner: undefined,
          before,
          at,
          author: callerOf(request).name,
          reason,
          expiresAt: lastsUntil(before),
          event: ({ target: named }) => {
            const until = notUntil === undefined ? '' : `, not until ${new Date(before).toISOString()}`;
            summarize(
              request,
              `revoked ${kind} ${named}${until}${reason === undefined ? '' : `: ${reason}`}`,
            );
            return eventOf(request);
          },
        });
        markRecorded(request);
        return reply.code(201).header('cache-control', 'no-store').type(json).send(revocationBody(made));
      },
    );
  };
}
