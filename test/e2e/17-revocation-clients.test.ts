/** oauth4webapi and openid-client revoke and introspect at the endpoints that they discover. */
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningServer, startServer } from '../support/server.ts';
import {
  jwtSpiffeAssertion,
  nonoId,
  ordersId,
  policyOf,
  postToken,
  startWorld,
  type World,
} from '../support/story.ts';

const insecure = { [oauth.allowInsecureRequests]: true };

let world: World;
let server: RunningServer;
beforeAll(async () => {
  world = await startWorld();
  const policy = policyOf(world).replace(
    'scopes: [alpha, profile, email] }',
    `scopes: [alpha, profile, email], introspectors: [{ spiffeId: "${nonoId}" }] }`,
  );
  const grant = `---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: introspectors }
spec: { subjects: [{ spiffeId: "${nonoId}" }], resource: mintmark, scopes: ["tokens:introspect"] }
`;
  server = await startServer({ policy: () => `${policy}${grant}` });
});
afterAll(async () => {
  await server?.remove();
  await world?.close();
});

async function mint(who: string, audience: string, scope: string): Promise<string> {
  const { status, body } = await postToken(server.url, {
    grant_type: 'client_credentials',
    client_assertion_type: jwtSpiffeAssertion,
    client_assertion: await world.svid(who, server.url),
    audience,
    scope,
  });
  expect(status).toBe(200);
  return String(body.access_token);
}

/** As a workload proves itself, and as an introspector does. */
const bySvid =
  (svid: string): oauth.ClientAuth =>
  (_as, _client, body) => {
    body.set('client_assertion_type', jwtSpiffeAssertion);
    body.set('client_assertion', svid);
  };
const byToken =
  (token: string): oauth.ClientAuth =>
  (_as, _client, _body, headers) => {
    headers.set('authorization', `Bearer ${token}`);
  };

test('oauth4webapi introspects, as JSON and as a signed JWT, and revokes', async () => {
  const issuer = new URL(server.url);
  const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
  const as = await oauth.processDiscoveryResponse(issuer, found);
  const [gate, orders] = [{ client_id: nonoId }, { client_id: ordersId }];
  const caller = byToken(await mint(nonoId, server.url, 'tokens:introspect'));
  const token = await mint(ordersId, 'alpha', 'alpha');

  async function introspect(requestJwtResponse: boolean) {
    const options = { ...insecure, requestJwtResponse };
    const response = await oauth.introspectionRequest(as, gate, caller, token, options);
    const answer = await oauth.processIntrospectionResponse(as, gate, response);
    if (requestJwtResponse) await oauth.validateApplicationLevelSignature(as, response, insecure);
    return answer;
  }
  const active = { active: true, sub: ordersId, aud: 'alpha', scope: 'alpha', token_type: 'Bearer' };
  expect(await introspect(false)).toMatchObject(active);
  expect(await introspect(true)).toMatchObject(active);

  const svid = bySvid(await world.svid(ordersId, server.url));
  const response = await oauth.revocationRequest(as, orders, svid, token, insecure);
  await oauth.processRevocationResponse(response);
  expect(await introspect(false)).toEqual({ active: false });
  expect(await introspect(true)).toEqual({ active: false });
});

test('openid-client introspects and revokes', async () => {
  const configure = (who: string, authentication: openid.ClientAuth) =>
    openid.discovery(new URL(server.url), who, undefined, authentication, {
      execute: [openid.allowInsecureRequests],
    });
  const gate = await configure(nonoId, byToken(await mint(nonoId, server.url, 'tokens:introspect')));
  const orders = await configure(ordersId, bySvid(await world.svid(ordersId, server.url)));
  const token = await mint(ordersId, 'alpha', 'alpha');
  expect(await openid.tokenIntrospection(gate, token)).toMatchObject({ active: true, sub: ordersId });
  await openid.tokenRevocation(orders, token);
  expect(await openid.tokenIntrospection(gate, token)).toEqual({ active: false });
  const another = await mint(nonoId, 'alpha', 'alpha');
  await expect(openid.tokenRevocation(orders, another)).rejects.toMatchObject({
    error: 'unauthorized_client',
  });
  expect(await openid.tokenIntrospection(gate, another)).toMatchObject({ active: true });
});
