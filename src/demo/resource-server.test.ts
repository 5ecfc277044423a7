/** What a protected service accepts and refuses, with real keys, tokens and sockets. */
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LoopbackServer, listenOnLoopback, serveDocuments } from './loopback.ts';
import { startResourceServer } from './resource-server.ts';

let issuer: LoopbackServer;
let alpha: LoopbackServer;
let key: CryptoKey;
let strangersKey: CryptoKey;
let metadata: object | undefined;

beforeAll(async () => {
  const pair = await generateKeyPair('ES256', { extractable: true });
  key = pair.privateKey;
  strangersKey = (await generateKeyPair('ES256')).privateKey;
  const keys = [{ ...(await exportJWK(pair.publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }];
  issuer = await listenOnLoopback((request, response) => {
    const documents: Record<string, object> = { '/keys': { keys } };
    if (metadata !== undefined) documents['/.well-known/oauth-authorization-server'] = metadata;
    return serveDocuments(documents)(request, response);
  });
  metadata = { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` };
  alpha = await startResourceServer({ audience: 'alpha', scope: 'alpha', issuer: issuer.url });
});

afterAll(async () => {
  await alpha.close();
  await issuer.close();
});

const accepted = () => ({
  iss: issuer.url,
  aud: 'alpha',
  sub: 'spiffe://prod.demo/orders',
  client_id: 'spiffe://prod.demo/orders',
  jti: 'j',
  scope: 'alpha profile',
});

async function sign(
  claims: JWTPayload,
  { typ = 'at+jwt', kid = 'one', signedBy = key, lifetime = '5m' } = {},
): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', kid, typ })
    .setIssuedAt()
    .setExpirationTime(lifetime)
    .sign(signedBy);
}

async function get(token?: string, at = alpha) {
  const response = await fetch(
    at.url,
    token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } },
  );
  const body = (await response.json()) as Record<string, unknown>;
  return { status: response.status, body, challenge: response.headers.get('www-authenticate') };
}

const refused = (error: string, description: string) => ({
  body: { error, error_description: description },
  challenge: `Bearer error="${error}", error_description="${description}"`,
});

describe('a protected service', () => {
  it('accepts an access token for itself', async () => {
    expect(await get(await sign(accepted()))).toEqual({
      status: 200,
      body: { service: 'alpha', sub: 'spiffe://prod.demo/orders', aud: 'alpha', scope: 'alpha profile' },
      challenge: null,
    });
  });

  it('asks for a token where none came, without an error code', async () => {
    expect(await get()).toEqual({ status: 401, body: {}, challenge: 'Bearer' });
  });

  it.each([
    ['for another audience', { aud: 'beta' }, {}, 'the token is not for the audience alpha'],
    ['of another issuer', { iss: 'https://other.example' }, {}, 'the token has the wrong iss'],
    ['of another kind', {}, { typ: 'JWT' }, 'the token has the wrong typ'],
    ['without a jti', { jti: undefined }, {}, 'the token has the wrong jti'],
    ['that has expired', {}, { lifetime: '-1s' }, 'the token has expired'],
    ['with a key that is not published', {}, { kid: 'two' }, 'the token was not signed by this issuer'],
  ])('refuses a token %s', async (_name, claims, options, description) => {
    const token = await sign({ ...accepted(), ...claims } as JWTPayload, options);
    expect(await get(token)).toEqual({ status: 401, ...refused('invalid_token', description) });
  });

  it('refuses a token that a stranger signed under the published key id', async () => {
    const token = await sign(accepted(), { signedBy: strangersKey });
    expect(await get(token)).toEqual({
      status: 401,
      ...refused('invalid_token', 'the token was not signed by this issuer'),
    });
  });

  it.each([
    ['without a signature', `${btoa('{"alg":"none","typ":"at+jwt"}')}.e30.`],
    ['that is not one', 'e30'],
  ])('refuses a token %s', async (_name, token) => {
    expect(await get(token)).toEqual({
      status: 401,
      ...refused('invalid_token', 'the token is not a valid access token'),
    });
  });

  it.each(['profile', 'alphabet', ''])('refuses the scope "%s"', async (scope) => {
    expect(await get(await sign({ ...accepted(), scope }))).toEqual({
      status: 403,
      ...refused('insufficient_scope', 'the token does not have the scope alpha'),
    });
  });

  it('takes no keys from metadata of another issuer, and asks again once they are right', async () => {
    const beta = await startResourceServer({ audience: 'beta', scope: 'beta', issuer: issuer.url });
    const token = await sign({ ...accepted(), aud: 'beta', scope: 'beta' });
    const right = metadata;
    try {
      for (const wrong of [{ ...right, issuer: 'https://other.example' }, undefined]) {
        metadata = wrong;
        expect(await get(token, beta)).toMatchObject({
          status: 503,
          body: { error: 'temporarily_unavailable' },
        });
      }
      metadata = right;
      expect(await get(token, beta)).toMatchObject({ status: 200 });
    } finally {
      metadata = right;
      await beta.close();
    }
  });
});
