/** An admin turns the signing keys by the command line, and jose as resource server sees what comes of it. */
import { createRemoteJWKSet, decodeProtectedHeader, errors, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../http/admin/run-cli.ts';
import { adminToken, deploy } from '../support/deployment.ts';
import { jwtSpiffeAssertion, ordersId, postToken, type Story, startStory } from '../support/story.ts';

describe.each(['embedded', 'PostgreSQL'] as const)('signing keys on %s', (database) => {
  let story: Story;
  beforeAll(async () => {
    story = await startStory(await deploy(database, 'memory'));
  });
  afterAll(() => story?.close());

  async function mint(): Promise<string> {
    const { status, body } = await postToken(story.server.url, {
      grant_type: 'client_credentials',
      client_assertion_type: jwtSpiffeAssertion,
      client_assertion: await story.svid(ordersId, story.server.url),
      audience: 'alpha',
      scope: 'alpha',
    });
    expect(status).toBe(200);
    return String(body.access_token);
  }
  /** As a resource server that has just started. */
  const verifyAnew = (token: string) =>
    jwtVerify(token, createRemoteJWKSet(new URL(`${story.server.url}/.well-known/jwks.json`)), {
      issuer: story.server.url,
      audience: 'alpha',
    });
  async function keys(...args: readonly string[]) {
    const environment = { MINTMARK_URL: story.server.url, MINTMARK_TOKEN: adminToken };
    const { exitCode, out, err } = await runCli(['keys', '--json', ...args], { environment });
    expect([exitCode, err]).toEqual([0, '']);
    return JSON.parse(out);
  }

  test('an emergency rotation: new tokens have the next key, and old ones verify still', async () => {
    const before = await mint();
    const { kid } = decodeProtectedHeader(before);
    const next = (await keys('list')).keys.find(({ state }: { state: string }) => state === 'next')?.kid;
    await keys('rotate', '--emergency');
    const after = await mint();
    expect(decodeProtectedHeader(after).kid).toBe(next);
    expect(next).not.toBe(kid);
    await verifyAnew(after);
    await verifyAnew(before);
  });

  test('a revocation: a fresh client refuses the tokens of that key, and takes those of the next', async () => {
    const before = await mint();
    await verifyAnew(before);
    const { kid = '' } = decodeProtectedHeader(before);
    await keys('revoke', '--reason', 'stolen', '--', kid);
    await expect(verifyAnew(before)).rejects.toThrow(errors.JWKSNoMatchingKey);
    const after = await mint();
    expect(decodeProtectedHeader(after).kid).not.toBe(kid);
    await verifyAnew(after);
    await story.server.stop();
    await story.server.restart();
    await expect(verifyAnew(before)).rejects.toThrow(errors.JWKSNoMatchingKey);
    await verifyAnew(after);
  }, 60_000);
});
