/** Apache httpd with mod_oauth2: somebody else's resource server, which knows of us the JWK set alone. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Apache, startApache } from '../support/apache.ts';
import { jwtSpiffeAssertion, ordersId, postToken, type Story, startStory } from '../support/story.ts';

describe('Apache httpd with mod_oauth2', () => {
  let story: Story;
  let apache: Apache;

  beforeAll(async () => {
    story = await startStory();
    const issuer = `iss:${story.server.url}`;
    // Debian's build has no regular expressions: a claim is compared whole, and so each token here has one scope.
    apache = await startApache(`${story.server.url}/.well-known/jwks.json`, [
      { path: '/alpha', claims: [issuer, 'aud:alpha', 'scope:alpha'] },
      { path: '/mail', claims: [issuer, 'aud:alpha', 'scope:email'] },
    ]);
  });
  afterAll(async () => {
    await apache?.close();
    await story?.close();
  });

  async function mint(audience: string, scope: string): Promise<string> {
    const { status, body } = await postToken(story.server.url, {
      grant_type: 'client_credentials',
      client_assertion_type: jwtSpiffeAssertion,
      client_assertion: await story.svid(ordersId, story.server.url),
      audience,
      scope,
    });
    expect(status).toBe(200);
    return String(body.access_token);
  }

  async function visit(path: string, token?: string): Promise<{ status: number; text: string }> {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const response = await fetch(`${apache.url}${path}/`, { headers });
    return { status: response.status, text: await response.text() };
  }

  test('lets in the token of its audience and scope, and shows the page', async () => {
    const token = await mint('alpha', 'alpha');
    expect(await visit('/alpha', token), apache.log()).toEqual({ status: 200, text: 'the page /alpha\n' });
    expect((await visit('/mail', await mint('alpha', 'email'))).status).toBe(200);
  });

  test('refuses no token, another audience’s, one without the scope, and one that was changed', async () => {
    const token = await mint('alpha', 'alpha');
    expect((await visit('/alpha', token)).status).toBe(200);
    expect((await visit('/alpha')).status).toBe(401);
    expect((await visit('/alpha', await mint('beta', 'beta'))).status).toBe(401);
    expect((await visit('/mail', token)).status).toBe(401);
    const changed = `${token.slice(0, -10)}${token.at(-10) === 'A' ? 'B' : 'A'}${token.slice(-9)}`;
    expect((await visit('/alpha', changed)).status).toBe(401);
  });

  test('refuses the credential itself: an SVID is no access token', async () => {
    expect((await visit('/alpha', await story.svid(ordersId, 'alpha'))).status).toBe(401);
  });
});
