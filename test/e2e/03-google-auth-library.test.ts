/** google-auth-library with an external_account file, as if Mintmark were Google's STS: only a subject token speaks for it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IdentityPoolClient } from 'google-auth-library';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { functionId, jwtTokenType, type Story, startStory } from '../support/story.ts';

describe('google-auth-library', () => {
  let story: Story;
  let folder: string;

  beforeAll(async () => {
    story = await startStory();
    folder = mkdtempSync(join(tmpdir(), 'mintmark-google-'));
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await story?.close();
  });

  /** A client as the library makes it from a credential configuration file. */
  function clientFor(audience: string, token: string) {
    const file = join(folder, 'token');
    writeFileSync(file, token);
    const client = new IdentityPoolClient({
      type: 'external_account',
      audience,
      subject_token_type: jwtTokenType,
      token_url: `${story.server.url}/oauth/token`,
      credential_source: { file },
    });
    client.scopes = ['alpha'];
    return client;
  }

  test('gets a token for its audience, and keeps it while it is fresh', async () => {
    const client = clientFor('alpha', await story.platformToken(story.server.url));
    const { token } = await client.getAccessToken();
    expect(decodeJwt(token ?? '')).toMatchObject({ aud: 'alpha', sub: functionId, scope: 'alpha' });
    expect((await client.getAccessToken()).token).toBe(token); // ten minutes, so no exchange on every call
  });

  test('shows our error code and sentence, and nothing of the reason', async () => {
    const client = clientFor('beta', await story.platformToken(story.server.url));
    await expect(client.getAccessToken()).rejects.toThrow(
      `Error code invalid_target: The requested target is unknown, malformed or not permitted. - ${story.server.url}/docs#invalid_target`,
    );
  });

  test('a token for another audience than us is refused as a bad request', async () => {
    const client = clientFor('alpha', await story.platformToken('https://other.test'));
    await expect(client.getAccessToken()).rejects.toThrow(/^Error code invalid_request: /);
  });
});
