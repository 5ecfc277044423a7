/** `PUT /admin/v1/issuers/{name}/jwks`: a cluster that nobody can reach pushes its own public keys. */
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { nameSchema } from '../../core/policy/document.ts';
import {
  areSameKeys,
  isRenewalDue,
  pinnedKeysAge,
  publicPartsOf,
  withPinnedKeys,
} from '../../core/policy/pinned-keys.ts';
import { ManagedByFile, PolicyRefused } from '../../core/policy/refused.ts';
import { describeField } from '../../core/policy/source.ts';
import type { HttpDependencies } from '../dependencies.ts';
import { eventOf, markRecorded, summarize } from './authorize.ts';
import type { Pusher } from './authorize-pusher.ts';
import { createChangeDocument, documentEtag, findDocument } from './document-change.ts';
import { sourceFromJson } from './policy-text.ts';
import { AdminProblem } from './problem.ts';
import { describedProblems } from './route-schema.ts';

const bodyLimitBytes = 64 * 1024;
const maxKeys = 16;

const kidSchema = z
  .string()
  .min(1)
  .max(1024)
  .regex(/^\P{C}+$/u, 'must hold no control or invisible characters');
const bodySchema = z.object({
  keys: z
    .array(z.looseObject({ kty: z.string(), kid: kidSchema }))
    .min(1)
    .max(maxKeys),
});

const answerSchema = z.object({
  revision: z.int().describe('The revision of the policy that is in force now.'),
  changed: z.boolean().describe('Whether the keys are others than before.'),
  as_of: z.string().describe('What `keys.asOf` says now.'),
});

/** `authorize` is the gate of `authorizePusher`. */
export function issuerKeysRoutes(
  authorize: onRequestAsyncHookHandler,
  { checkPushedKeys, clock, policyBook }: HttpDependencies,
): FastifyPluginAsyncZod {
  return async (app) => {
    app.decorateRequest('pusher', undefined);
    const changeDocument = createChangeDocument(policyBook);
    app.put(
      '/issuers/:name/jwks',
      {
        bodyLimit: bodyLimitBytes,
        onRequest: authorize,
        schema: {
          tags: ['admin'],
          security: [{ platform: [] }],
          operationId: 'pushIssuerKeys',
          summary: 'Replace the keys of one Issuer by those that the issuer itself pushes',
          description:
            'The caller is the identity that the document names in `keys.pushedBy`, by a token for Mintmark alone that the keys in force verify. The set must still hold the key that signed that token.',
          params: z.object({ name: nameSchema }),
          body: bodySchema,
          response: {
            200: { description: 'In force.', content: { 'application/json': { schema: answerSchema } } },
            ...describedProblems(400, 401, 403, 409, 412, 413, 415, 422, 429, 503),
          },
        },
      },
      async (request, reply) => {
        const { name } = request.params;
        const { token, spiffeId, issuer, policy } = pusherOf(request);
        const document = findDocument(policy.documents, 'Issuer', name);
        const label = `Issuer/${name}`;
        if (document === undefined) throw new AdminProblem('not-found');
        if (document.managedBy === 'file') throw new ManagedByFile([label]);
        const problems = await checkPushedKeys(request.body, token, issuer.platform);
        if (problems.length > 0) {
          throw new PolicyRefused(
            problems.map(({ path, message }) => {
              return { document: label, field: describeField(['spec', 'keys', 'jwks', ...path]), message };
            }),
          );
        }
        const keys = publicPartsOf(request.body);
        const isChanged =
          issuer.keys.jwks === undefined || !areSameKeys(keys, publicPartsOf(issuer.keys.jwks));
        const age = pinnedKeysAge(issuer, clock.now());
        const answer = (revision: number, asOf: string) =>
          reply
            .header('cache-control', 'no-store')
            .type('application/json; charset=utf-8')
            .send({ revision, changed: isChanged, as_of: asOf });
        if (!isChanged && age?.asOf !== undefined && !isRenewalDue(age)) {
          summarize(request, `pushed the keys that ${label} holds already`);
          return answer(policy.revision, age.asOf);
        }
        const asOf = new Date(clock.now()).toISOString();
        const changed = await changeDocument({
          kind: 'Issuer',
          name,
          source: sourceFromJson(withPinnedKeys(document, keys, asOf)),
          ifMatch: documentEtag(document), // what verified the token is what is replaced, or nothing is
          ifNoneMatch: undefined,
          author: spiffeId,
          reason: isChanged ? 'the issuer pushed new keys' : 'the issuer pushed the same keys again',
          dryRun: false,
          permit: () => {}, // the document itself names the pusher, and nothing but its keys is changed
          event: ({ revision }) => {
            const what = isChanged
              ? `pushed ${keys.length} keys to ${label}`
              : `renewed keys.asOf of ${label}`;
            summarize(request, `${what}; now at revision ${revision}`);
            return eventOf(request);
          },
        }).catch((error: unknown) => {
          if (!(error instanceof AdminProblem) || error.slug !== 'etag-mismatch') throw error;
          throw new AdminProblem('etag-mismatch', { detail: 'The document has just changed: push again.' });
        });
        markRecorded(request);
        return answer(changed.revision, asOf);
      },
    );
  };
}

/** The pusher that the gate let in. A route without the gate has none, and fails closed. */
function pusherOf(request: FastifyRequest): Pusher {
  if (request.pusher === undefined) throw new AdminProblem('pusher-unauthorized');
  return request.pusher;
}
