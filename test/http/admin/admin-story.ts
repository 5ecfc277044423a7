/** Admins without a secret: identities that the policy makes admins, and the tokens that the exchange mints for them. */
import type { FastifyInstance, InjectOptions } from 'fastify';
import { adminScopes } from '../../../src/core/policy/admin-resource.ts';
import { postForm, testIssuer } from '../../support/house.ts';
import { jwtSpiffeTokenType, tokenExchangeGrant } from '../../support/story.ts';
import { orders, tellStory } from '../token/story.ts';
import { callAdmin } from './admin-calls.ts';

export const adminAudience = `${testIssuer}/admin/v1`;

/** `orders` is an admin with every scope unless told otherwise. */
export const adminGrant = (spec: object = {}, name = 'admins') => ({
  apiVersion: 'mintmark/v1',
  kind: 'Grant',
  metadata: { name },
  spec: { subjects: [{ spiffeId: orders }], resource: 'mintmark-admin', scopes: adminScopes, ...spec },
});

export async function tellAdminStory() {
  const story = await tellStory();
  return {
    ...story,
    /** The answer of the token endpoint to an SVID of `orders`, or of somebody else. */
    ask: async (app: FastifyInstance, scopes: readonly string[], audience = adminAudience, who = orders) =>
      postForm(app, {
        grant_type: tokenExchangeGrant,
        subject_token: await story.svid(who),
        subject_token_type: jwtSpiffeTokenType,
        audience,
        scope: scopes.join(' '),
      }),
  };
}

export type AdminStory = Awaited<ReturnType<typeof tellAdminStory>>;

export async function adminToken(
  story: AdminStory,
  app: FastifyInstance,
  scopes: readonly string[] = adminScopes,
  who = orders,
): Promise<string> {
  const response = await story.ask(app, scopes, adminAudience, who);
  if (response.statusCode !== 200) throw new Error(response.body);
  return response.json().access_token;
}

export function callWith(app: FastifyInstance, token: string, url: string, options: InjectOptions = {}) {
  return callAdmin(app, url, {
    ...options,
    headers: { ...options.headers, authorization: `Bearer ${token}` },
  });
}
