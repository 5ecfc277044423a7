/** A server whose keys are in a token: it serves exchanges, refuses them while the token is away, and comes back. */
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/processes.ts';
import { startServer } from '../support/server.ts';
import { makeSoftHsm, type SoftHsm, tokenProcesses } from '../support/softhsm.ts';
import {
  jwtSpiffeAssertion,
  ordersId,
  postToken,
  reasonOf,
  type Story,
  startStory,
} from '../support/story.ts';

describe('a server whose signing keys are in a token', () => {
  let hsm: SoftHsm;
  let story: Story;
  beforeAll(async () => {
    hsm = await makeSoftHsm();
    story = await startStory(hsm.environment);
  });
  afterAll(async () => {
    await story?.close();
    hsm?.remove();
  });

  const exchange = async () =>
    postToken(story.server.url, {
      grant_type: 'client_credentials',
      client_assertion_type: jwtSpiffeAssertion,
      client_assertion: await story.svid(ordersId, story.server.url),
      audience: 'alpha',
      scope: 'alpha',
    });
  const readiness = async () => {
    const response = await fetch(`${story.server.url}/readyz`);
    return { status: response.status, body: await response.json() };
  };
  const verify = (token: string) =>
    jwtVerify(token, createRemoteJWKSet(new URL(`${story.server.url}/.well-known/jwks.json`)), {
      issuer: story.server.url,
      audience: 'alpha',
      typ: 'at+jwt',
    });

  test('its tokens verify with jose', async () => {
    const { status, body } = await exchange();
    expect(status).toBe(200);
    expect((await verify(String(body.access_token))).payload.sub).toBe(ordersId);
    expect(await readiness()).toMatchObject({ status: 200, body: { checks: { signing_token: 'ok' } } });
  });

  test('the same keys serve after a restart', async () => {
    const { body } = await exchange();
    await story.server.stop();
    await story.server.restart();
    await verify(String(body.access_token));
    expect((await exchange()).status).toBe(200);
  });

  test('while the token is away, exchanges fail closed and readiness says so; then it comes back', async () => {
    hsm.unplug();
    for (const pid of tokenProcesses(story.server.process.pid)) process.kill(pid, 'SIGKILL');
    const refused = await eventually(async () => {
      const answer = await exchange();
      expect(answer).toMatchObject({ status: 503, body: { error: 'temporarily_unavailable' } });
      return answer;
    });
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await reasonOf(story.server, refused.body.request_id)).toBe('server.signer_unavailable');
    expect(await readiness()).toMatchObject({
      status: 503,
      body: { checks: { signing_token: 'unavailable' } },
    });
    hsm.plugIn();
    const served = await eventually(async () => {
      const answer = await exchange();
      expect(answer.status).toBe(200);
      return answer;
    });
    await verify(String(served.body.access_token));
    expect(await readiness()).toMatchObject({ status: 200, body: { checks: { signing_token: 'ok' } } });
    expect(story.server.output()).not.toContain(hsm.pin);
  });

  test('a start with a token that is not there is refused in one sentence', async () => {
    const environment = { ...hsm.environment, MINTMARK_PKCS11_TOKEN_LABEL: 'another' };
    await expect(startServer({ environment })).rejects.toThrow(
      'configuration refused:\n  MINTMARK_PKCS11_MODULE: no token with the label "another" is present',
    );
    await expect(
      startServer({ environment: { ...hsm.environment, MINTMARK_PKCS11_PIN_FILE: '/etc/hostname' } }),
    ).rejects.toThrow('MINTMARK_PKCS11_PIN_FILE: the token does not accept the PIN (CKR_PIN_');
  });
});
