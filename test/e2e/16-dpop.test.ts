/** DPoP by real clients over real sockets: oauth4webapi and openid-client answer our nonce by themselves, and use the token. */
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  jwtBearerAssertion,
  jwtSpiffeAssertion,
  ordersId,
  type Story,
  startStory,
} from '../support/story.ts';

const insecure = { [oauth.allowInsecureRequests]: true };
const client: oauth.Client = { client_id: ordersId };

describe('DPoP', () => {
  let story: Story;
  let svid: string;

  beforeAll(async () => {
    story = await startStory();
    svid = await story.svid(ordersId, story.server.url);
  });
  afterAll(() => story?.close());

  const withSvid: oauth.ClientAuth = (_as, _client, body) => {
    body.set('client_assertion_type', jwtSpiffeAssertion);
    body.set('client_assertion', svid);
  };

  /** The one nonce error that a client may see before it has our nonce, then what came of the second try. */
  async function grant(as: oauth.AuthorizationServer, handle: oauth.DPoPHandle) {
    const ask = async () => {
      const options = { ...insecure, DPoP: handle };
      const parameters = { audience: 'alpha', scope: 'alpha' };
      const response = await oauth.clientCredentialsGrantRequest(as, client, withSvid, parameters, options);
      return oauth.processClientCredentialsResponse(as, client, response);
    };
    let nonceErrors = 0;
    const token = await ask().catch((error: unknown) => {
      if (!oauth.isDPoPNonceError(error)) throw error;
      nonceErrors++;
      return ask();
    });
    return { token, nonceErrors };
  }

  test('oauth4webapi asks once for the nonce, and validates the token as a resource server', async () => {
    const issuer = new URL(story.server.url);
    const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
    const as = await oauth.processDiscoveryResponse(issuer, response);
    expect(as.dpop_signing_alg_values_supported).toContain('ES256');
    const keyPair = await oauth.generateKeyPair('ES256');
    const handle = oauth.DPoP(client, keyPair);

    const first = await grant(as, handle);
    expect(first).toMatchObject({ nonceErrors: 1, token: { token_type: 'dpop', scope: 'alpha' } });
    const second = await grant(as, handle);
    expect(second).toMatchObject({ nonceErrors: 0, token: { token_type: 'dpop' } });

    let seen: Request | undefined;
    await oauth.protectedResourceRequest(
      second.token.access_token,
      'GET',
      new URL('https://alpha.test/items'),
      undefined,
      undefined,
      {
        DPoP: handle,
        [oauth.customFetch]: async (url, options) => {
          seen = new Request(url, { method: options.method, headers: options.headers });
          return new Response();
        },
      },
    );
    if (seen === undefined) throw new Error('no request to the resource');
    const claims = await oauth.validateJwtAccessToken(as, seen, 'alpha', { ...insecure, requireDPoP: true });
    expect(claims).toMatchObject({ sub: ordersId, cnf: { jkt: await handle.calculateThumbprint() } });

    const asBearer = new Request(seen.url, {
      headers: { authorization: `Bearer ${second.token.access_token}` },
    });
    await expect(oauth.validateJwtAccessToken(as, asBearer, 'alpha', insecure)).rejects.toThrow();
  });

  test.each(['ES256', 'Ed25519', 'RS256'])('openid-client, with %s, retries by itself', async (algorithm) => {
    const authentication: openid.ClientAuth = (_as, { client_id: id }, body) => {
      body.set('client_id', id);
      body.set('client_assertion_type', jwtBearerAssertion);
      body.set('client_assertion', svid);
    };
    const config = await openid.discovery(new URL(story.server.url), ordersId, undefined, authentication, {
      execute: [openid.allowInsecureRequests],
    });
    const handle = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair(algorithm));
    const parameters = { audience: 'alpha', scope: 'alpha' };
    const token = await openid.clientCredentialsGrant(config, parameters, { DPoP: handle });
    expect(token).toMatchObject({ token_type: 'dpop', scope: 'alpha' });
  });
});
