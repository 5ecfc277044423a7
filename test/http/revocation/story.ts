/** A resource server that may introspect, workloads that may revoke, and the requests of both. */
import type { FastifyInstance } from 'fastify';
import { newAddress, postForm, testIssuer } from '../../support/house.ts';
import { jwtSpiffeAssertion } from '../../support/story.ts';
import { testNowSeconds } from '../../support/tokens.ts';
import { adminGrant, tellAdminStory } from '../admin/admin-story.ts';
import { orders } from '../token/story.ts';

export { orders };
export const gate = 'spiffe://prod.test/gate';
const otherGate = 'spiffe://prod.test/other-gate';

const document = (kind: string, name: string, spec: object) => ({
  apiVersion: 'mintmark/v1',
  kind,
  metadata: { name },
  spec,
});

/** Resource alpha names `gate` as introspector, beta the other gate. Both, and orders, may ask for a token for it. */
export async function tellRevocationStory() {
  const story = await tellAdminStory();
  const documents = story.documents
    .map((each) => (each.kind === 'Resource' ? withIntrospector(each) : each))
    .concat(
      document('Grant', 'orders-beta', {
        subjects: [{ spiffeId: orders }],
        resource: 'beta',
        scopes: ['beta'],
      }),
      document('Grant', 'gates', {
        subjects: [{ spiffeId: gate }, { spiffeId: otherGate }],
        resource: 'mintmark',
        scopes: ['tokens:introspect'],
      }),
      document('Grant', 'gate-alpha', {
        subjects: [{ spiffeId: gate }],
        resource: 'alpha',
        scopes: ['alpha'],
      }),
      adminGrant(),
    );
  const assertion = async (who = orders) => ({
    client_assertion_type: jwtSpiffeAssertion,
    client_assertion: await story.svid(who, testIssuer, { exp: testNowSeconds + 900 }),
  });
  const token = async (app: FastifyInstance, audience = 'alpha', scope = audience, who = orders) => {
    const response = await postForm(app, {
      grant_type: 'client_credentials',
      ...(await assertion(who)),
      audience,
      scope,
    });
    if (response.statusCode !== 200) throw new Error(response.body);
    return String(response.json().access_token);
  };
  return {
    ...story,
    documents,
    assertion,
    token,
    introspectorToken: (app: FastifyInstance, who = gate) => token(app, testIssuer, 'tokens:introspect', who),
  };
}

const withIntrospector = <T extends { metadata: { name: string }; spec: object }>(resource: T): T => ({
  ...resource,
  spec: {
    ...resource.spec,
    introspectors: [{ spiffeId: resource.metadata.name === 'alpha' ? gate : otherGate }],
  },
});

export function post(
  app: FastifyInstance,
  url: '/oauth/revoke' | '/oauth/introspect',
  form: Record<string, string> | string,
  headers: Record<string, string> = {},
) {
  return app.inject({
    method: 'POST',
    url,
    remoteAddress: newAddress(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    payload: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
  });
}

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

export async function introspect(app: FastifyInstance, caller: string, token: string) {
  return (await post(app, '/oauth/introspect', { token }, bearer(caller))).json();
}
