/** A client that comes with somebody else's subject token: what the token says of each, and what the audit keeps. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postForm, testAdminToken } from '../../support/house.ts';
import { hashOf } from '../../support/story.ts';
import { testNowSeconds } from '../../support/tokens.ts';
import {
  agent,
  type DelegationStory,
  gateway,
  stranger,
  tellDelegationStory,
  tokenType,
  tool,
  user,
} from './delegation-story.ts';

let story: DelegationStory;
beforeAll(async () => {
  story = await tellDelegationStory();
});
afterAll(() => story.house.close());

const eventOf = (response: { readonly headers: Record<string, unknown> }) =>
  story.house.eventOf(String(response.headers['x-request-id']));

describe('a client that acts for a subject', () => {
  it('gets a token about the subject that names the client and, as acting, the client', async () => {
    const subjectToken = await story.userToken();
    const response = await story.send(subjectToken, { client: agent, audience: 'vault', scope: 'read' });
    expect(response.json()).toMatchObject({ issued_token_type: tokenType('access_token'), scope: 'read' });
    const token = response.json().access_token;
    expect(story.claimsOf(token)).toEqual({
      iss: 'https://sts.test',
      sub: user,
      client_id: agent,
      act: { sub: agent },
      aud: 'vault',
      scope: 'read',
      by: 'agent',
      ns: 'payments', // copied from the subject's claims: the client's SVID has none
      iat: testNowSeconds,
      exp: expect.any(Number),
      jti: expect.any(String),
    });
    expect(await eventOf(response)).toMatchObject({
      outcome: 'permitted',
      identity: agent,
      subject: user,
      actors: [agent],
      credential_hash: hashOf(subjectToken),
      client_assertion_hash: expect.stringMatching(/^[\w-]{43}$/),
      grants: ['agent-vault'],
      checks: expect.arrayContaining([{ check: 'actor', ok: true, actual: agent }]),
    });
  });

  it('names the actor of an actor token in its place', async () => {
    const actorToken = await story.svid(stranger);
    const response = await story.send(await story.userToken(), {
      client: agent,
      audience: 'vault',
      form: { actor_token: actorToken, actor_token_type: tokenType('jwt_spiffe') },
    });
    const claims = story.claimsOf(response.json().access_token);
    expect(claims).toMatchObject({ sub: user, client_id: agent, act: { sub: stranger } });
    expect(claims.act).toEqual({ sub: stranger });
    expect(await eventOf(response)).toMatchObject({
      identity: agent,
      subject: user,
      actor: stranger,
      actors: [stranger],
      actor_token_hash: hashOf(actorToken),
    });
  });

  it('may come by the assertion grant too', async () => {
    const response = await postForm(story.house.app, {
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: await story.userToken(),
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
      client_assertion: await story.svid(agent),
      client_id: agent,
      audience: 'vault',
    });
    expect(response.json()).not.toHaveProperty('issued_token_type');
    expect(story.claimsOf(response.json().access_token)).toMatchObject({ sub: user, act: { sub: agent } });
  });

  it('leaves out who acts where the grant lets it impersonate, and not where an actor is named', async () => {
    const asked = { client: agent, audience: gateway };
    const response = await story.send(await story.userToken(), asked);
    const claims = story.claimsOf(response.json().access_token);
    expect(claims).not.toHaveProperty('act');
    expect(claims).toMatchObject({ sub: user, client_id: agent });
    expect(await eventOf(response)).toMatchObject({ identity: agent, subject: user });
    const named = await story.hop(await story.userToken(), {
      ...asked,
      form: { actor_token: await story.svid(tool), actor_token_type: tokenType('jwt') },
    });
    expect(story.claimsOf(named).act).toEqual({ sub: tool });
  });
});

describe('a token of our own as subject token', () => {
  it('carries its chain inward, and never gives longer or more than it has', async () => {
    const first = await story.hop(await story.userToken({ exp: testNowSeconds + 120 }), {
      client: gateway,
      audience: agent,
    });
    expect(story.claimsOf(first)).toMatchObject({
      sub: user,
      aud: agent,
      scope: 'read',
      act: { sub: gateway },
    });
    const second = await story.hop(first, { client: agent, audience: tool, scope: 'read' });
    const third = await story.hop(second, { client: tool, audience: 'vault', scope: 'read' });
    expect(story.claimsOf(third)).toMatchObject({
      sub: user,
      client_id: tool,
      act: { sub: tool, act: { sub: agent, act: { sub: gateway } } },
      scope: 'read',
      exp: testNowSeconds + 120,
    });
  });

  it('is good for any client where it was minted for us, and gives no scope where it has none', async () => {
    const token = await story.hop(await story.userToken(), { client: gateway, audience: 'https://sts.test' });
    const response = await story.send(token, { client: agent, audience: 'vault' });
    expect(response.json()).not.toHaveProperty('scope');
    const defaulted = await story.hop(token, { client: gateway, audience: agent });
    expect(story.claimsOf(defaulted)).not.toHaveProperty('scope'); // the default is read, which the token lacks
  });

  it('copies none of its claims, which an earlier caller may have chosen', async () => {
    const token = await story.hop(await story.userToken(), {
      client: gateway,
      audience: agent,
    });
    const claims = story.claimsOf(await story.hop(token, { client: agent, audience: 'vault' }));
    expect(claims).toMatchObject({ by: 'agent' });
    expect(claims).not.toHaveProperty('ns');
  });
});

describe('explain', () => {
  const ask = (question: object) =>
    story.house.app.inject({
      method: 'POST',
      url: '/admin/v1/explain',
      headers: { authorization: `Bearer ${testAdminToken}` },
      payload: { spiffe_id: agent, request: { audience: 'vault', scope: 'read' }, ...question },
    });

  it('says of a supposed subject and actor what the exchange would', async () => {
    const subject = { spiffe_id: user };
    expect((await ask({ subject })).json()).toMatchObject({
      outcome: 'permitted',
      identity: { spiffe_id: agent },
      subject: user,
      actors: [agent],
    });
    expect((await ask({ subject, actor: { spiffe_id: tool } })).json()).toMatchObject({ actors: [tool] });
    expect((await ask({ subject: { spiffe_id: tool } })).json()).toMatchObject({
      outcome: 'refused',
      reason: 'policy.delegation_not_permitted',
      grants: [{ grant: 'agent-vault', contributes: false, failed: { check: 'grant.delegation' } }],
    });
    expect((await ask({ subject: { ...subject, scope: 'write' } })).json()).toMatchObject({
      reason: 'policy.scope_beyond_subject',
    });
  });

  it.each([
    [{ actor: { spiffe_id: tool } }],
    [{ subject: { issuer: 'cluster' } }],
    [{ subject: { spiffe_id: user, issuer: 'cluster', claims: {} } }],
  ])('refuses %j', async (question) => {
    expect((await ask(question)).statusCode).toBe(400);
  });
});
