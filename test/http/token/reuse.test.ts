/** A Resource with `reuse`: the same token for the same request, decided, used up and recorded each time. */
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openHouse, postForm, type TestHouse, testIssuer } from '../../support/house.ts';
import { hashOf } from '../../support/story.ts';
import { signToken } from '../../support/tokens.ts';
import { putPolicy, resource } from '../admin/admin-calls.ts';
import { orders, tellStory } from './story.ts';

let house: TestHouse;
let story: Awaited<ReturnType<typeof tellStory>>;
beforeAll(async () => {
  story = await tellStory();
  const document = (kind: string, name: string, spec: object) => ({
    apiVersion: 'mintmark/v1',
    kind,
    metadata: { name },
    spec,
  });
  house = await openHouse([
    ...story.documents,
    document('Resource', 'again', {
      audience: 'again',
      scopes: ['read', 'write'],
      tokenLifetime: '10m',
      reuse: { minRemaining: '2m' },
    }),
    ...[{ spiffeId: orders }, { issuer: 'cluster' }, { issuer: 'once' }].map((subject, index) =>
      document('Grant', `again-${index}`, {
        subjects: [subject],
        resource: 'again',
        scopes: ['read', 'write'],
        claims: { allowRequested: { order_id: { enum: ['a1', 'b2'] } } },
      }),
    ),
  ]);
});
afterAll(() => house.close());
beforeEach(() => house.clock.set(house.clock.now() + 3_600_000)); // past what the test before was given

const at = () => ({ iat: house.clock.now() / 1000, exp: house.clock.now() / 1000 + 3600 });

async function ask(assertion: string, asked: Record<string, string> = {}) {
  const response = await postForm(house.app, {
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion,
    audience: 'again',
    scope: 'read',
    ...asked,
  });
  const event = await house.eventOf(String(response.headers['x-request-id']));
  return { status: response.statusCode, body: response.json(), event };
}
const svid = (claims = {}) => story.svid(orders, testIssuer, { ...at(), ...claims });

describe('a resource that lets tokens be reused', () => {
  it('gives the same token to the same workload, and says how long it still lives', async () => {
    const first = await ask(await svid());
    house.clock.set(house.clock.now() + 90_000);
    const again = await ask(await svid());
    expect(again.body).toEqual({ ...first.body, expires_in: first.body.expires_in - 90 });
    expect(first.body.expires_in).toBe(600);
  });

  it('records each exchange with its own trace, and that the token is the one before', async () => {
    const first = await ask(await svid());
    const again = await ask(await svid());
    for (const { body, event } of [first, again]) {
      expect(event).toMatchObject({
        outcome: 'permitted',
        identity: orders,
        jti: decodeJwt(body.access_token).jti,
        token_hash: hashOf(body.access_token),
        kid: first.event.kid,
        token_expires_at: first.event.token_expires_at,
        checks: first.event.checks,
      });
    }
    expect(first.event).not.toHaveProperty('reused');
    expect(again.event).toMatchObject({ reused: true });
    expect(again.event.request_id).not.toBe(first.event.request_id);
    expect(again.event.credential_hash).not.toBe(first.event.credential_hash);
  });

  it('gives another token for anything else that is asked', async () => {
    const tokens = new Set<string>();
    for (const asked of [
      {},
      { scope: 'write' },
      { scope: 'read write' },
      { additional_claims: '{"order_id":"a1"}' },
      { additional_claims: '{"order_id":"b2"}' },
    ]) {
      const { status, body } = await ask(await svid(), asked);
      expect(status).toBe(200);
      tokens.add(body.access_token);
    }
    tokens.add((await ask(await signToken(story.clusterKey, clusterClaims()))).body.access_token);
    expect(tokens.size).toBe(6);
    const again = await ask(await svid(), { additional_claims: '{"order_id":"b2"}' });
    expect(tokens).toContain(again.body.access_token);
  });
  const clusterClaims = () => ({
    iss: 'https://cluster.test',
    aud: testIssuer,
    sub: 'system:serviceaccount:payments:api',
    'kubernetes.io': { namespace: 'payments', serviceaccount: { name: 'api', uid: '1' } },
    ...at(),
  });

  it('gives no token that outlives the credential', async () => {
    const first = await ask(await svid());
    const short = await ask(await svid({ exp: house.clock.now() / 1000 + 300 }));
    expect(short.body.access_token).not.toBe(first.body.access_token);
    expect(short.body.expires_in).toBe(300);
    expect((await ask(await svid())).body.access_token).toBe(first.body.access_token);
  });

  it('refuses a one-time credential that was used, though its token is still good', async () => {
    const once = (jti: string) =>
      signToken(story.clusterKey, { iss: 'https://once.test', sub: 'a', aud: testIssuer, jti, ...at() });
    const used = await once('one');
    const first = await ask(used);
    expect(first.status).toBe(200);
    const replayed = await ask(used);
    expect(replayed).toMatchObject({ status: 400, event: { reason: 'credential.replayed' } });
    expect(replayed.body).not.toHaveProperty('access_token');
    expect((await ask(await once('two'))).body.access_token).toBe(first.body.access_token);
  });

  it('refuses what policy refuses, and gives a new token after each change of it', async () => {
    const first = await ask(await svid());
    expect(await ask(await svid(), { scope: 'erase' })).toMatchObject({
      status: 400,
      event: { reason: 'policy.scope_not_permitted' },
    });
    expect((await putPolicy(house.app, [resource(`changed-${house.clock.now()}`)])).statusCode).toBe(200);
    const changed = await ask(await svid());
    expect(changed.body.access_token).not.toBe(first.body.access_token);
    expect(changed.event).not.toHaveProperty('reused');
  });
});

it('gives each exchange a token of its own without it', async () => {
  const [first, second] = [
    await ask(await svid(), { audience: 'alpha', scope: 'alpha' }),
    await ask(await svid(), { audience: 'alpha', scope: 'alpha' }),
  ];
  expect(first.status).toBe(200);
  expect(second.body.access_token).not.toBe(first.body.access_token);
  expect(second.event).not.toHaveProperty('reused');
});
