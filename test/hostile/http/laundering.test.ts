/** A token that fell into the wrong hands, or into the right ones with wrong wishes, is worth nothing at the exchange. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  agent,
  type DelegationStory,
  gateway,
  stranger,
  tellDelegationStory,
  tokenType,
  tool,
} from '../../http/token/delegation-story.ts';
import { postForm } from '../../support/house.ts';
import { signToken, testNowMillis, testNowSeconds } from '../../support/tokens.ts';
import { expectRefused, type Refusal } from './refused.ts';

let story: DelegationStory;
/** Minted for the agent, about the user, with the scope read. */
let token: string;
beforeAll(async () => {
  story = await tellDelegationStory();
});
beforeEach(async () => {
  story.house.clock.set(testNowMillis);
  token = await story.hop(await story.userToken(), { client: gateway, audience: agent });
});
afterAll(() => story.house.close());

const genuine = { client: agent, audience: 'vault', scope: 'read' };
const invalid = (reason: string): Refusal => ({ status: 400, error: 'invalid_request', reason });
const refuses = async (
  subjectToken: string,
  asked: Parameters<DelegationStory['send']>[1],
  refusal: Refusal,
) => expectRefused(story.house, await story.send(subjectToken, asked), refusal, [subjectToken]);

describe('a token minted for the agent', () => {
  it('is exchanged by the agent', async () => {
    expect(story.claimsOf(await story.hop(token, genuine))).toMatchObject({ aud: 'vault', scope: 'read' });
  });

  it('is worth nothing to another client, who is named in the audit', async () => {
    const event = await refuses(token, { ...genuine, client: tool }, invalid('token.audience_mismatch'));
    expect(event).toMatchObject({ identity: tool });
  });

  it('is worth nothing once it was sent on to its resource', async () => {
    const atVault = await story.hop(token, genuine);
    for (const client of [agent, tool, stranger]) {
      await refuses(atVault, { ...genuine, client }, invalid('token.audience_mismatch'));
    }
  });

  it('is no credential alone, whoever its client says to be', async () => {
    const alone = { status: 401, error: 'invalid_client', reason: 'request.client_assertion_missing' };
    const { client: _client, ...anonymous } = genuine;
    await refuses(token, anonymous, alone);
    await refuses(token, { ...anonymous, form: { client_id: agent } }, alone);
    await refuses(
      token,
      { ...anonymous, form: { client_id: 'spiffe://mintmark.test/cluster/ns/payments/sa/api' } },
      alone,
    );
  });

  it.each([
    ['assertion', 'invalid_grant', 400],
    ['client_assertion', 'invalid_client', 401],
  ])('is no %s', async (parameter, error, status) => {
    const response = await postForm(story.house.app, {
      grant_type:
        parameter === 'assertion' ? 'urn:ietf:params:oauth:grant-type:jwt-bearer' : 'client_credentials',
      [parameter]: token,
      ...(parameter === 'assertion'
        ? {}
        : { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' }),
      audience: 'vault',
    });
    await expectRefused(story.house, response, { status, error, reason: 'credential.unknown_issuer' }, [
      token,
    ]);
  });

  it('is no actor token', async () => {
    const form = { actor_token: token, actor_token_type: tokenType('access_token') };
    await refuses(await story.userToken(), { ...genuine, form }, invalid('credential.unknown_issuer'));
  });

  it('never gives a scope that it lacks, asked for or by default', async () => {
    const beyond = { status: 400, error: 'invalid_scope', reason: 'policy.scope_beyond_subject' };
    await refuses(token, { ...genuine, scope: 'write' }, beyond);
    await refuses(token, { ...genuine, scope: 'read write' }, beyond);
    const narrower = await story.hop(token, { client: agent, audience: tool });
    expect(story.claimsOf(narrower)).not.toHaveProperty('scope');
    await refuses(narrower, { client: tool, audience: 'vault', scope: 'read' }, beyond);
  });

  it('becomes no JWT-SVID, which would be as good as its subject', async () => {
    const form = { requested_token_type: tokenType('jwt') };
    const { scope: _scope, ...unscoped } = genuine;
    await story.hop(token, { ...unscoped, form: { requested_token_type: tokenType('access_token') } });
    await refuses(token, { ...unscoped, form }, invalid('policy.svid_for_another'));
    await refuses(await story.userToken(), { ...unscoped, form }, invalid('policy.svid_for_another'));
  });

  it('is never minted again for longer, nor after its end', async () => {
    const end = story.claimsOf(token).exp ?? 0;
    story.house.clock.set((end - 30) * 1000);
    const late = { client_assertion: await story.svid(agent, undefined, { exp: end + 300 }) };
    const again = await story.hop(token, { ...genuine, form: late });
    expect(story.claimsOf(again).exp).toBe(end);
    story.house.clock.set(end * 1000);
    await refuses(token, { ...genuine, form: late }, invalid('token.expired'));
  });

  it('is refused with one bit changed, or signed by anybody else', async () => {
    const [header = '', payload = '', signature = ''] = token.split('.');
    const changed = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const forged = Buffer.from(JSON.stringify({ ...changed, scope: 'read write' })).toString('base64url');
    await refuses(`${header}.${forged}.${signature}`, genuine, invalid('token.signature_invalid'));
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString());
    const self = await signToken({ ...story.strangerKey, kid }, changed, { typ: 'at+jwt' });
    await refuses(self, genuine, invalid('token.signature_invalid'));
    const ours = await signToken(story.clusterKey, changed, { typ: 'at+jwt' });
    await refuses(ours, genuine, invalid('token.key_unknown'));
    const other = await signToken(story.clusterKey, changed);
    await refuses(other, genuine, invalid('token.type_mismatch'));
  });

  it('is no JWT-SVID because somebody declares it one', async () => {
    const form = { subject_token_type: tokenType('jwt_spiffe') };
    await refuses(token, { ...genuine, form }, invalid('credential.type_mismatch'));
  });
});

describe('a client', () => {
  const unauthorized = (reason: string) => ({ status: 400, error: 'unauthorized_client', reason });

  it('acts for no subject whom its grant does not name', async () => {
    await story.hop(await story.userToken(), genuine);
    const other = await story.userToken({
      sub: 'system:serviceaccount:orders:api',
      'kubernetes.io': { namespace: 'orders', serviceaccount: { name: 'api', uid: 'u-2' } },
    });
    await refuses(other, genuine, unauthorized('policy.delegation_not_permitted'));
    await refuses(await story.svid(tool), genuine, unauthorized('policy.delegation_not_permitted'));
  });

  it('acts for nobody without delegation, or without a grant', async () => {
    await refuses(
      await story.userToken(),
      { ...genuine, client: stranger },
      unauthorized('policy.delegation_not_permitted'),
    );
    await refuses(
      await story.userToken(),
      { ...genuine, client: gateway },
      { status: 400, error: 'invalid_target', reason: 'policy.no_grant' },
    );
  });

  it('names no actor without saying who it is itself, nor the subject as its own actor', async () => {
    const form = { actor_token: await story.svid(tool), actor_token_type: tokenType('jwt') };
    const subjectToken = await story.userToken();
    await story.hop(subjectToken, { ...genuine, form });
    const { client: _client, ...anonymous } = genuine;
    await refuses(
      subjectToken,
      { ...anonymous, form },
      { status: 401, error: 'invalid_client', reason: 'request.client_assertion_missing' },
    );
    const itself = { actor_token: subjectToken, actor_token_type: tokenType('jwt') };
    await refuses(subjectToken, { ...genuine, form: itself }, invalid('request.actor_is_subject'));
  });

  it('names no actor whose credential is bad', async () => {
    const actor = (actorToken: string) => ({ actor_token: actorToken, actor_token_type: tokenType('jwt') });
    const over = await story.svid(tool, undefined, { exp: testNowSeconds - 1 });
    await refuses(await story.userToken(), { ...genuine, form: actor(over) }, invalid('credential.expired'));
    const soon = await story.svid(tool, undefined, { exp: testNowSeconds + 40 });
    const short = await story.hop(await story.userToken(), { ...genuine, form: actor(soon) });
    expect(story.claimsOf(short).exp).toBe(testNowSeconds + 40);
  });

  it('is not the actor whom the subject token allows', async () => {
    const allowing = (mayAct: unknown) => story.userToken({ may_act: mayAct });
    await story.hop(await allowing({ sub: agent }), genuine);
    for (const mayAct of [
      { sub: tool },
      { sub: agent, iss: 'https://other.test' },
      agent,
      null,
      [],
      { iss: 'x' },
    ]) {
      await refuses(await allowing(mayAct), genuine, unauthorized('policy.actor_not_permitted'));
    }
    const form = { actor_token: await story.svid(tool), actor_token_type: tokenType('jwt') };
    await story.hop(await allowing({ sub: tool }), { ...genuine, form });
    await refuses(
      await allowing({ sub: agent }),
      { ...genuine, form },
      unauthorized('policy.actor_not_permitted'),
    );
  });

  it('goes round in no circle for longer than a chain may be', async () => {
    let at = token; // gateway acts
    for (const [client, audience] of [
      [agent, tool],
      [tool, agent],
      [agent, tool],
    ] as const) {
      at = await story.hop(at, { client, audience, scope: 'read' });
    }
    expect(JSON.stringify(story.claimsOf(at).act).split('sub')).toHaveLength(5);
    await refuses(
      at,
      { client: tool, audience: agent, scope: 'read' },
      invalid('policy.actor_chain_too_long'),
    );
  });
});
