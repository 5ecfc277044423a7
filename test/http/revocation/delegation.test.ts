/** A subject, an actor or a link of the chain that is revoked: nobody gets anything new with it. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { testNowMillis } from '../../support/tokens.ts';
import { callAdmin } from '../admin/admin-calls.ts';
import {
  agent,
  type DelegationStory,
  gateway,
  stranger,
  tellDelegationStory,
  tokenType,
  tool,
  user,
} from '../token/delegation-story.ts';

let story: DelegationStory;
beforeEach(async () => {
  story = await tellDelegationStory();
});
afterEach(() => story.house.close());

/** The public error and the reason; 200 where there was a token. */
async function outcomeOf(response: Awaited<ReturnType<DelegationStory['send']>>) {
  if (response.statusCode === 200) return 200;
  const { reason } = await story.house.eventOf(String(response.headers['x-request-id']));
  return [response.statusCode, response.json().error, reason];
}

const revoke = async (identity: string, notUntil?: string) => {
  const response = await callAdmin(story.house.app, '/revocations', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    payload: JSON.stringify({ identity, not_until: notUntil }),
  });
  expect(response.statusCode).toBe(201);
};

it.each([
  ['the subject', user],
  ['the client', agent],
  ['the actor', stranger],
])('refuses %s of a delegation', async (_role, revoked) => {
  const ask = async () =>
    story.send(await story.userToken(), {
      client: agent,
      audience: 'vault',
      form: { actor_token: await story.svid(stranger), actor_token_type: tokenType('jwt_spiffe') },
    });
  expect(await outcomeOf(await ask())).toBe(200);
  await revoke(revoked, new Date(testNowMillis + 3_600_000).toISOString());
  expect(await outcomeOf(await ask())).toEqual([400, 'unauthorized_client', 'policy.identity_revoked']);
});

it.each([
  ['whom it is about', user],
  ['who had it made', gateway],
])('refuses a token of ours as subject token once it is revoked by %s', async (_role, revoked) => {
  const token = await story.hop(await story.userToken(), { client: gateway, audience: agent });
  const ask = () => story.send(token, { client: agent, audience: 'vault', scope: 'read' });
  expect(await outcomeOf(await ask())).toBe(200);
  await revoke(revoked);
  expect(await outcomeOf(await ask())).toEqual([400, 'invalid_request', 'token.revoked']);
  // A later one is good: whoever it is about, and all who acted, were vouched for anew.
  story.house.clock.set(testNowMillis + 1_000);
  const later = await story.hop(await story.userToken(), { client: gateway, audience: agent });
  expect(await outcomeOf(await story.send(later, { client: agent, audience: 'vault', scope: 'read' }))).toBe(
    200,
  );
});

it('ends what a token was exchanged for too, by a link of its chain', async () => {
  const first = await story.hop(await story.userToken(), { client: gateway, audience: agent });
  const second = await story.hop(first, { client: agent, audience: tool, scope: 'read' });
  expect(story.claimsOf(second).act).toMatchObject({ sub: agent, act: { sub: gateway } });
  const ask = () => story.send(second, { client: tool, audience: 'vault', scope: 'read' });
  expect(await outcomeOf(await ask())).toBe(200);
  await revoke(gateway);
  expect(await outcomeOf(await ask())).toEqual([400, 'invalid_request', 'token.revoked']);
});

it.each([
  ['the subject', user],
  ['the client', agent],
  ['the actor', stranger],
])('is explained as the exchange refuses it, where %s is revoked', async (_role, revoked) => {
  const explain = async () => {
    const payload = {
      spiffe_id: agent,
      subject: { spiffe_id: user },
      actor: { spiffe_id: stranger },
      request: { audience: 'vault' },
    };
    return (await callAdmin(story.house.app, '/explain', { method: 'POST', payload })).json();
  };
  expect(await explain()).toMatchObject({ outcome: 'permitted' });
  await revoke(revoked, new Date(testNowMillis + 3_600_000).toISOString());
  expect(await explain()).toMatchObject({ outcome: 'refused', reason: 'policy.identity_revoked' });
});
