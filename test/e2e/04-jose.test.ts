/** jose as resource server, which knows of us the JWK set alone: whom it lets in, and keys that outlive a kill -9. */
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeProtectedHeader,
  errors,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jwtSpiffeAssertion, ordersId, postToken, type Story, startStory } from '../support/story.ts';

describe('jose', () => {
  let story: Story;
  let remoteKeys: JWTVerifyGetKey;
  let jwksUrl: URL;

  beforeAll(async () => {
    story = await startStory();
    jwksUrl = new URL(`${story.server.url}/.well-known/jwks.json`);
    remoteKeys = createRemoteJWKSet(jwksUrl);
  });
  afterAll(() => story?.close());

  async function mint(audience: string): Promise<string> {
    const { status, body } = await postToken(story.server.url, {
      grant_type: 'client_credentials',
      client_assertion_type: jwtSpiffeAssertion,
      client_assertion: await story.svid(ordersId, story.server.url),
      audience,
      scope: audience,
    });
    expect(status).toBe(200);
    return String(body.access_token);
  }

  function verify(token: string, audience: string, keys = remoteKeys) {
    return jwtVerify(token, keys, {
      typ: 'at+jwt',
      issuer: story.server.url,
      audience,
      algorithms: ['ES256'],
      requiredClaims: ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti'], // RFC 9068 §2.2
    });
  }

  test('verifies a token by kid, type, issuer and audience, and refuses it for any other', async () => {
    const token = await mint('alpha');
    const { payload, protectedHeader } = await verify(token, 'alpha');
    expect(protectedHeader).toEqual({ typ: 'at+jwt', alg: 'ES256', kid: expect.any(String) });
    expect(payload).toMatchObject({ sub: ordersId, client_id: ordersId, aud: 'alpha', scope: 'alpha' });
    await expect(verify(token, 'beta')).rejects.toMatchObject({ code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' });
    await expect(
      jwtVerify(token, remoteKeys, { issuer: 'https://other.test', audience: 'alpha' }),
    ).rejects.toMatchObject({ code: 'ERR_JWT_CLAIM_VALIDATION_FAILED', claim: 'iss' });
  });

  test('refuses the token with one byte changed, wherever it is', async () => {
    const token = await mint('alpha');
    await verify(token, 'alpha');
    const lastOfSignature = token.length - 2; // of the last character some bits are padding
    const firstOfPayload = token.indexOf('.') + 1;
    for (const at of [0, firstOfPayload, firstOfPayload + 20, token.lastIndexOf('.') + 1, lastOfSignature]) {
      const changed = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
      await expect(verify(changed, 'alpha'), `byte ${at}`).rejects.toBeInstanceOf(errors.JOSEError);
    }
  });

  test('keys survive a kill -9: an old key set verifies new tokens, and the new one old tokens', async () => {
    const before = await mint('alpha');
    const jwksBefore = await (await fetch(jwksUrl)).json();
    const keptKeys = createLocalJWKSet(jwksBefore as { keys: [] });

    await story.server.stop('SIGKILL');
    await expect(fetch(jwksUrl)).rejects.toThrow(); // it really was gone
    await story.server.restart();

    expect(await (await fetch(jwksUrl)).json()).toEqual(jwksBefore);
    const after = await mint('alpha');
    expect(decodeProtectedHeader(after).kid).toBe(decodeProtectedHeader(before).kid);
    await verify(after, 'alpha', keptKeys);
    await verify(before, 'alpha', createRemoteJWKSet(jwksUrl));
  });

  test('the JWK set holds public signature keys only, cacheable for a bounded time', async () => {
    const response = await fetch(jwksUrl);
    const { keys } = (await response.json()) as { keys: Record<string, string>[] };
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) {
      expect(key).toEqual({
        kty: 'EC',
        crv: 'P-256',
        x: expect.any(String),
        y: expect.any(String),
        kid: expect.any(String),
        alg: 'ES256',
        use: 'sig', // jwt-svid would make jose, oauth4webapi and mod_oauth2 find no key
      });
    }
    expect(response.headers.get('cache-control')).toMatch(/^public, max-age=\d+$/);
    const etag = response.headers.get('etag') ?? '';
    const again = await fetch(jwksUrl, { headers: { 'if-none-match': etag } });
    expect(again.status).toBe(304);
  });
});
