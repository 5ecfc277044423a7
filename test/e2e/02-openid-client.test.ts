/** openid-client 6: discovery, the client credentials grant and a token exchange, as an application writes them. */
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  accessTokenType,
  functionId,
  jwtBearerAssertion,
  jwtTokenType,
  ordersId,
  reasonOf,
  type Story,
  startStory,
  tokenExchangeGrant,
} from '../support/story.ts';

describe('openid-client', () => {
  let story: Story;
  let svid: string;

  beforeAll(async () => {
    story = await startStory();
    svid = await story.svid(ordersId, story.server.url);
  });
  afterAll(() => story?.close());

  /** A configuration whose client authentication is the SVID under the type that SPIFFE's first clients sent. */
  function configure(credential = svid): Promise<openid.Configuration> {
    const authentication: openid.ClientAuth = (_as, client, body) => {
      body.set('client_id', client.client_id);
      body.set('client_assertion_type', jwtBearerAssertion);
      body.set('client_assertion', credential);
    };
    return openid.discovery(new URL(story.server.url), ordersId, undefined, authentication, {
      execute: [openid.allowInsecureRequests],
    });
  }

  async function refusalOf(work: Promise<unknown>): Promise<openid.ResponseBodyError> {
    const error = await work.catch((caught: unknown) => caught);
    if (error instanceof openid.ResponseBodyError) return error;
    throw new Error('not refused with an OAuth error body', { cause: error });
  }

  test('client credentials with the SVID and a client_id that names the same identity', async () => {
    const token = await openid.clientCredentialsGrant(await configure(), {
      audience: 'alpha',
      scope: 'alpha',
    });
    expect(token).toMatchObject({ token_type: 'bearer', scope: 'alpha', access_token: expect.any(String) });
    expect(token.expiresIn()).toBeGreaterThan(200);
  });

  test('exchanges a platform token without any client authentication', async () => {
    const config = await openid.discovery(new URL(story.server.url), functionId, undefined, openid.None(), {
      execute: [openid.allowInsecureRequests],
    });
    const parameters = {
      subject_token: await story.platformToken(story.server.url),
      subject_token_type: jwtTokenType,
      requested_token_type: accessTokenType,
      resource: 'https://nowhere.test/',
    };
    const refused = await refusalOf(openid.genericGrantRequest(config, tokenExchangeGrant, parameters));
    expect(refused).toMatchObject({ error: 'invalid_target', status: 400 });
    expect(await reasonOf(story.server, refused.cause.request_id)).toBe('policy.unknown_resource');

    const { resource: _unknown, ...rest } = parameters;
    const token = await openid.genericGrantRequest(config, tokenExchangeGrant, {
      ...rest,
      audience: 'alpha',
    });
    expect(token).toMatchObject({ issued_token_type: accessTokenType, token_type: 'bearer', scope: 'alpha' });
  });

  test('an expired SVID, and a client_id of someone else, are invalid_client', async () => {
    const past = Math.floor(Date.now() / 1000) - 600;
    const old = await story.svid(ordersId, story.server.url, { iat: past, exp: past + 300 });
    const expired = await refusalOf(
      openid.clientCredentialsGrant(await configure(old), { audience: 'alpha' }),
    );
    expect(expired).toMatchObject({ error: 'invalid_client', status: 401 });
    expect(await reasonOf(story.server, expired.cause.request_id)).toBe('credential.expired');

    const other = await story.svid('spiffe://prod.test/nono', story.server.url);
    const mismatched = await refusalOf(
      openid.clientCredentialsGrant(await configure(other), { audience: 'alpha', scope: 'alpha' }),
    );
    expect(mismatched).toMatchObject({ error: 'invalid_client', status: 401 });
    expect(await reasonOf(story.server, mismatched.cause.request_id)).toBe('request.client_id_mismatch');
  });
});
