/** Delegation on the wire: OpenShell's two hops byte by byte, and oauth4webapi with an actor token. */
import * as oauth from 'oauth4webapi';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readOneAnswer } from '../support/raw-http.ts';
import { type RunningServer, startServer } from '../support/server.ts';
import {
  accessTokenType,
  auditEvent,
  functionId,
  hashOf,
  jwtSpiffeAssertion,
  jwtSpiffeTokenType,
  policyOf,
  startWorld,
  tokenExchangeGrant,
  type World,
} from '../support/story.ts';

const gateway = 'spiffe://prod.test/ns/openshell/sa/gateway';
const supervisor = 'spiffe://prod.test/openshell/sandbox/one';
const clerk = 'spiffe://prod.test/clerk';
/** Whom `platformToken` is about. */
const user = functionId;

const actFor = `delegation: { actFor: [ { prefix: "${user}" } ] }`;
const more = `---
apiVersion: mintmark/v1
kind: Resource
metadata: { name: supervisor }
spec: { audience: "${supervisor}", scopes: [alpha] }
---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: gateway-on-supervisor }
spec: { subjects: [ { spiffeId: "${gateway}" } ], resource: supervisor, scopes: [alpha], defaultScopes: [alpha], ${actFor} }
---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: supervisor-on-alpha }
spec: { subjects: [ { spiffeId: "${supervisor}" } ], resource: alpha, scopes: [alpha], ${actFor} }
`;

let world: World;
let server: RunningServer;
let as: oauth.AuthorizationServer;
const insecure = { [oauth.allowInsecureRequests]: true };

beforeAll(async () => {
  world = await startWorld();
  server = await startServer({ policy: () => `${policyOf(world)}${more}` });
  const issuer = new URL(server.url);
  const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
  as = await oauth.processDiscoveryResponse(issuer, response);
});
afterAll(async () => {
  await server?.remove();
  await world?.close();
});

/** The exchange as OpenShell writes it; the server is asked over a bare socket. */
async function openShell(svid: string, subjectToken: string, target: string) {
  const form = [
    `grant_type=${encodeURIComponent(tokenExchangeGrant)}`,
    `client_assertion_type=${encodeURIComponent(jwtSpiffeAssertion)}&client_assertion=${svid}`,
    `subject_token=${subjectToken}&subject_token_type=${encodeURIComponent(accessTokenType)}`,
    `requested_token_type=${encodeURIComponent(accessTokenType)}&${target}`,
  ].join('&');
  const answer = await readOneAnswer(
    server.url,
    `POST /oauth/token HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded\r\naccept: */*\r\nhost: ${new URL(server.url).host}\r\ncontent-length: ${form.length}\r\n\r\n${form}`,
  );
  return { status: answer.status, body: JSON.parse(answer.body) as Record<string, unknown> };
}

const resourceServer = (token: unknown, audience: string) =>
  oauth.validateJwtAccessToken(
    as,
    new Request('http://alpha.test/', { headers: { authorization: `Bearer ${token}` } }),
    audience,
    insecure,
  );

test('OpenShell’s gateway and supervisor hand a user’s token on, each for itself', async () => {
  const endpoint = `${server.url}/oauth/token`; // the SVID audience that it defaults to
  const userToken = await world.platformToken(server.url);
  const first = await openShell(
    await world.svid(gateway, endpoint),
    userToken,
    `audience=${encodeURIComponent(supervisor)}`,
  );
  expect(first).toMatchObject({
    status: 200,
    body: { token_type: 'Bearer', issued_token_type: accessTokenType, scope: 'alpha' },
  });
  const intermediate = String(first.body.access_token);
  expect(await resourceServer(intermediate, supervisor)).toMatchObject({ sub: user, client_id: gateway });

  const ownSvid = await world.svid(supervisor, endpoint);
  const second = await openShell(ownSvid, intermediate, 'audience=alpha&scope=alpha');
  expect(second).toMatchObject({ status: 200, body: { scope: 'alpha' } });
  expect(await resourceServer(second.body.access_token, 'alpha')).toMatchObject({
    sub: user,
    client_id: supervisor,
    act: { sub: supervisor, act: { sub: gateway } },
    scope: 'alpha',
  });

  // The intermediate token is the supervisor's alone, and the user's own token is not for it to widen.
  const stolen = await openShell(
    await world.svid(gateway, endpoint),
    intermediate,
    'audience=alpha&scope=alpha',
  );
  expect(stolen).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
  const event = await auditEvent(server.url, server.adminToken(), String(stolen.body.request_id));
  expect(event).toMatchObject({
    reason: 'token.audience_mismatch',
    identity: gateway,
    credential_hash: hashOf(intermediate),
  });
});

test('oauth4webapi exchanges a subject token with an actor token', async () => {
  const client: oauth.Client = { client_id: supervisor };
  const svid = await world.svid(supervisor, server.url);
  const exchange = async (parameters: Record<string, string>) => {
    const response = await oauth.genericTokenEndpointRequest(
      as,
      client,
      (_as, _client, body) => {
        body.set('client_assertion_type', jwtSpiffeAssertion);
        body.set('client_assertion', svid);
      },
      tokenExchangeGrant,
      parameters,
      insecure,
    );
    return oauth.processGenericTokenEndpointResponse(as, client, response);
  };
  const asked = {
    subject_token: await world.platformToken(server.url),
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    audience: 'alpha',
    scope: 'alpha',
  };
  const token = await exchange({
    ...asked,
    actor_token: await world.svid(clerk, server.url),
    actor_token_type: jwtSpiffeTokenType,
  });
  expect(await resourceServer(token.access_token, 'alpha')).toMatchObject({
    sub: user,
    client_id: supervisor,
    act: { sub: clerk },
  });
  const error = await exchange({ ...asked, actor_token_type: jwtSpiffeTokenType }).catch((caught) => caught);
  expect(error).toMatchObject({ error: 'invalid_request', status: 400 });
});
