/** `/admin/v1/keys`: our signing keys, and an administrator's turn of them. */
import type { FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { OAuthError } from '../../core/error.ts';
import { describeKeyChanges, type KeyChange, keyChanges } from '../../core/key-changes.ts';
import type { TurningKeyRing } from '../../core/ports.ts';
import type { HttpDependencies } from '../dependencies.ts';
import { type Authorize, summarize } from './authorize.ts';
import {
  changeBody,
  keyBody,
  keyListSchema,
  kidParams,
  revokeBodySchema,
  rotateBodySchema,
  turnedSchema,
} from './key-schema.ts';
import { AdminProblem } from './problem.ts';
import { describedProblems, secured } from './route-schema.ts';

const json = 'application/json; charset=utf-8';

export function keyRoutes(authorize: Authorize, { keyRings }: HttpDependencies): FastifyPluginAsyncZod {
  const listed = () => keyRings.flatMap((ring) => ring.list());
  const turnedBody = (changes: readonly KeyChange[]) => ({
    changes: changes.map(changeBody),
    keys: keyRings.flatMap(keyBodies),
  });

  /** Whatever comes of it, the audit says which keys changed. */
  async function turn(
    request: FastifyRequest,
    what: string,
    reason: string | undefined,
    work: () => Promise<void>,
  ): Promise<readonly KeyChange[]> {
    const why = reason ? `; reason: ${reason}` : '';
    summarize(request, `asked to ${what}${why}`);
    await known(Promise.all(keyRings.map((ring) => ring.refresh()))); // another replica may just have changed them
    const before = listed();
    try {
      await known(work());
      return keyChanges(before, listed());
    } finally {
      summarize(request, `asked to ${what}: ${describeKeyChanges(keyChanges(before, listed()))}${why}`);
    }
  }

  return async (app) => {
    app.get(
      '/keys',
      {
        onRequest: authorize('admin.keys.list', 'keys:read'),
        schema: {
          ...secured,
          operationId: 'listKeys',
          summary: 'The signing keys, where each is in its life, and its public half',
          response: {
            200: { description: 'All keys.', content: { 'application/json': { schema: keyListSchema } } },
            ...describedProblems(401, 403, 429, 503),
          },
        },
      },
      async (request, reply) => {
        const keys = keyRings.flatMap(keyBodies);
        summarize(request, `listed ${keys.length} signing keys`);
        return reply.header('cache-control', 'no-store').type(json).send({ keys });
      },
    );

    app.post(
      '/keys/rotate',
      {
        onRequest: authorize('admin.keys.rotate', 'keys:rotate'),
        schema: {
          ...secured,
          operationId: 'rotateKeys',
          summary: 'Let the next keys sign as soon as they were published long enough, or at once',
          description: 'The body may be left out.',
          body: rotateBodySchema,
          response: {
            200: {
              description: 'What changed.',
              content: { 'application/json': { schema: turnedSchema } },
            },
            ...describedProblems(400, 401, 403, 409, 413, 415, 429, 503),
          },
        },
      },
      async (request, reply) => {
        const { emergency = false, reason } = request.body ?? {};
        const what = `rotate the signing keys${emergency ? ' in an emergency' : ''}`;
        const changes = await turn(request, what, reason, async () => {
          for (const ring of keyRings) await ring.rotate(emergency);
        });
        return reply.header('cache-control', 'no-store').type(json).send(turnedBody(changes));
      },
    );

    app.post(
      '/keys/:kid/revoke',
      {
        onRequest: authorize('admin.keys.revoke', 'keys:rotate'),
        schema: {
          ...secured,
          operationId: 'revokeKey',
          summary: 'Take a key out of the JWK set for good; where it signed, the next one does at once',
          description:
            'Tokens that it signed verify no more, once a resource server has read the JWK set again. Where there is no next key, one is made. The body may be left out.',
          params: kidParams,
          body: revokeBodySchema,
          response: {
            200: {
              description: 'What changed.',
              content: { 'application/json': { schema: turnedSchema } },
            },
            ...describedProblems(400, 401, 403, 404, 409, 413, 415, 429, 503),
          },
        },
      },
      async (request, reply) => {
        const { kid } = request.params;
        const changes = await turn(request, `revoke the key ${kid}`, request.body?.reason, async () => {
          const holder = keyRings.find((ring) => ring.list().some((key) => key.kid === kid));
          if (holder === undefined) {
            throw new AdminProblem('not-found', {
              detail: `No signing key has the kid ${kid}. One that was revoked already is gone.`,
            });
          }
          await holder.revoke(kid);
        });
        return reply.header('cache-control', 'no-store').type(json).send(turnedBody(changes));
      },
    );
  };
}

/** The public halves are those that the ring itself derived from the private ones. */
function keyBodies(ring: TurningKeyRing) {
  const publicJwks = ring.publicKeys();
  return ring.list().flatMap((key) => {
    const publicJwk = publicJwks.find(({ kid }) => kid === key.kid);
    return publicJwk === undefined ? [] : [keyBody(key, publicJwk)];
  });
}

/** What came of it, or the problem of a store that does not answer, or holds what cannot be opened. */
async function known<T>(work: Promise<T>): Promise<T> {
  return work.catch((cause) => {
    if (cause instanceof AdminProblem || cause instanceof OAuthError) throw cause;
    throw new AdminProblem(
      'unavailable',
      {
        detail:
          'The signing keys cannot be read or changed in the store right now. List them before you try again.',
        reason: 'server.key_store_unavailable',
        headers: { 'retry-after': '1' },
      },
      cause,
    );
  });
}
