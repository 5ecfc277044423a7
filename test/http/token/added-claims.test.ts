/** Claims that grants add, as the resource server reads them; and grants that disagree, as the caller and the admin see it. */
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openHouse, postForm, type TestHouse } from '../../support/house.ts';
import { orders, tellStory } from './story.ts';

const adding = (name: string, subject: object, claims: object) => ({
  apiVersion: 'mintmark/v1',
  kind: 'Grant',
  metadata: { name },
  spec: { subjects: [subject], resource: 'beta', scopes: ['beta'], claims },
});

describe('claims that grants add', () => {
  let story: Awaited<ReturnType<typeof tellStory>>;
  let house: TestHouse;
  const other = 'spiffe://prod.test/other';
  beforeAll(async () => {
    story = await tellStory();
    house = await openHouse([
      ...story.documents,
      adding(
        'orders-beta',
        { spiffeId: orders },
        { set: { tenant: 'acme' }, copy: { team: 'team', gone: 'gone' } },
      ),
      adding('other-beta', { spiffeId: other }, { set: { tenant: 'acme' } }),
      adding('other-tree-beta', { prefix: other }, { copy: { tenant: 'tenant' } }),
    ]);
  });
  afterAll(() => house.close());

  const ask = async (subject: string, claims: object) =>
    postForm(house.app, {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
      client_assertion: await story.svid(subject, undefined, claims),
      audience: 'beta',
      scope: 'beta',
    });

  it('reach the token beside its own', async () => {
    const response = await ask(orders, { team: { name: 'shop' } });
    expect(response.statusCode).toBe(200);
    const claims = decodeJwt(response.json().access_token);
    expect(claims).toMatchObject({ sub: orders, aud: 'beta', tenant: 'acme', team: { name: 'shop' } });
    expect(claims).not.toHaveProperty('gone');
  });

  it('refuse where grants disagree, as a fault of ours', async () => {
    expect((await ask(other, { tenant: 'acme' })).statusCode).toBe(200);
    const response = await ask(other, { tenant: 'canary-tenant' });
    const { error, request_id } = response.json();
    expect([response.statusCode, error]).toEqual([500, 'server_error']);
    expect(response.body).not.toContain('tenant');
    const event = await house.eventOf(request_id);
    expect(event).toMatchObject({ outcome: 'failed', reason: 'policy.claims_conflict' });
    expect(JSON.stringify(event.checks)).not.toContain('canary-tenant');
  });

  it('refuse where they are too large for a token', async () => {
    expect((await ask(orders, { team: 'x'.repeat(3000) })).statusCode).toBe(200);
    const response = await ask(orders, { team: 'x'.repeat(4096) });
    const { error, request_id } = response.json();
    expect([response.statusCode, error]).toEqual([500, 'server_error']);
    expect(await house.eventOf(request_id)).toMatchObject({ reason: 'policy.claims_too_large' });
  });
});
