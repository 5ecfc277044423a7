/** oauth4webapi as client and as resource server: discovery, both grants, and what it makes of a refusal. */
import * as oauth from 'oauth4webapi';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  accessTokenType,
  jwtSpiffeAssertion,
  jwtSpiffeTokenType,
  ordersId,
  reasonOf,
  type Story,
  startStory,
  strangerId,
  tokenExchangeGrant,
} from '../support/story.ts';

const insecure = { [oauth.allowInsecureRequests]: true };
const client: oauth.Client = { client_id: ordersId };

/** SPIFFE client authentication: the pair of parameters, and no client_id. */
function withSvid(svid: string): oauth.ClientAuth {
  return (_as, _client, body) => {
    body.set('client_assertion_type', jwtSpiffeAssertion);
    body.set('client_assertion', svid);
  };
}

describe('oauth4webapi', () => {
  let story: Story;
  let as: oauth.AuthorizationServer;

  beforeAll(async () => {
    story = await startStory();
    const issuer = new URL(story.server.url);
    const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
    as = await oauth.processDiscoveryResponse(issuer, response);
  });
  afterAll(() => story?.close());

  async function clientCredentials(svid: string, parameters: Record<string, string>) {
    const response = await oauth.clientCredentialsGrantRequest(
      as,
      client,
      withSvid(svid),
      parameters,
      insecure,
    );
    return oauth.processClientCredentialsResponse(as, client, response);
  }

  function requestWith(token: string): Request {
    return new Request('http://alpha.test/', { headers: { authorization: `Bearer ${token}` } });
  }

  async function refusalOf(work: Promise<unknown>): Promise<oauth.ResponseBodyError> {
    const error = await work.catch((caught: unknown) => caught);
    if (error instanceof oauth.ResponseBodyError) return error;
    throw new Error('not refused with an OAuth error body', { cause: error });
  }

  test('finds the exact issuer by either discovery document, and another issuer is refused', async () => {
    expect(as.issuer).toBe(story.server.url);
    const issuer = new URL(story.server.url);
    const openid = await oauth.discoveryRequest(issuer, { algorithm: 'oidc', ...insecure });
    expect(await oauth.processDiscoveryResponse(issuer, openid)).toMatchObject({
      issuer: story.server.url,
      token_endpoint: as.token_endpoint,
      jwks_uri: as.jwks_uri,
    });
    const again = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
    await expect(
      oauth.processDiscoveryResponse(new URL(story.server.url.replace('127.0.0.1', 'localhost')), again),
    ).rejects.toThrow(/issuer/);
  });

  test('client credentials with a JWT-SVID give a token that its resource server validates', async () => {
    const svid = await story.svid(ordersId, story.server.url);
    const token = await clientCredentials(svid, { audience: 'alpha', scope: 'alpha profile' });
    expect(token).toMatchObject({ token_type: 'bearer', scope: 'alpha profile' });
    expect(token.expires_in).toBeLessThanOrEqual(300);
    expect(token).not.toHaveProperty('issued_token_type');

    const claims = await oauth.validateJwtAccessToken(as, requestWith(token.access_token), 'alpha', insecure);
    expect(claims).toMatchObject({
      iss: story.server.url,
      sub: ordersId,
      client_id: ordersId,
      aud: 'alpha',
      scope: 'alpha profile',
    });
    await expect(
      oauth.validateJwtAccessToken(as, requestWith(token.access_token), 'beta', insecure),
    ).rejects.toThrow(/"aud"/);
  });

  test('token exchange with the SVID as client and as subject', async () => {
    const svid = await story.svid(ordersId, as.token_endpoint ?? '');
    const response = await oauth.genericTokenEndpointRequest(
      as,
      client,
      withSvid(svid),
      tokenExchangeGrant,
      {
        subject_token: svid,
        subject_token_type: jwtSpiffeTokenType,
        requested_token_type: accessTokenType,
        audience: 'beta',
        scope: 'beta',
      },
      insecure,
    );
    const token = await oauth.processGenericTokenEndpointResponse(as, client, response);
    expect(token).toMatchObject({
      issued_token_type: accessTokenType,
      token_type: 'bearer',
      scope: 'beta',
    });
    const claims = await oauth.validateJwtAccessToken(as, requestWith(token.access_token), 'beta', insecure);
    expect(claims.sub).toBe(ordersId);
  });

  test('an assertion that was signed by someone else is invalid_client', async () => {
    const svid = await story.svid(ordersId, story.server.url);
    const forged = `${svid.slice(0, svid.lastIndexOf('.'))}.${'A'.repeat(86)}`;
    const error = await refusalOf(clientCredentials(forged, { audience: 'alpha', scope: 'alpha' }));
    expect(error).toMatchObject({ error: 'invalid_client', status: 401 });
    expect(error.cause).toMatchObject({ request_id: expect.any(String) });
    expect(await reasonOf(story.server, error.cause.request_id)).toBe('credential.signature_invalid');
  });

  test('a workload without a grant, and a scope that no grant gives, are told apart', async () => {
    const stranger = await refusalOf(
      clientCredentials(await story.svid(strangerId, story.server.url), { audience: 'alpha' }),
    );
    expect(stranger).toMatchObject({ error: 'invalid_target', status: 400 });
    expect(await reasonOf(story.server, stranger.cause.request_id)).toBe('policy.no_grant');

    const greedy = await refusalOf(
      clientCredentials(await story.svid(ordersId, story.server.url), { audience: 'beta', scope: 'email' }),
    );
    expect(greedy).toMatchObject({ error: 'invalid_scope', status: 400 });
    expect(await reasonOf(story.server, greedy.cause.request_id)).toBe('policy.scope_not_permitted');
  });
});
