/** A resource with `extraAudiences`: what its tokens say, and that no extra audience can be asked for. */
import { decodeJwt } from 'jose';
import { expect, it } from 'vitest';
import { expectRefused } from '../../hostile/http/refused.ts';
import { openHouse, postForm } from '../../support/house.ts';
import { orders, tellStory } from './story.ts';

it('puts the extra audiences after the resource’s own, which alone can be asked for', async () => {
  const story = await tellStory();
  const document = (kind: string, name: string, spec: object) => ({
    apiVersion: 'mintmark/v1',
    kind,
    metadata: { name },
    spec,
  });
  const house = await openHouse([
    ...story.documents,
    document('Resource', 'gamma', { audience: 'gamma', extraAudiences: ['zeta', 'eta'] }),
    document('Grant', 'orders-gamma', { subjects: [{ spiffeId: orders }], resource: 'gamma' }),
  ]);
  try {
    const ask = async (audience: string) =>
      postForm(house.app, {
        grant_type: 'client_credentials',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
        client_assertion: await story.svid(),
        audience,
      });
    const permitted = await ask('gamma');
    expect(permitted.statusCode).toBe(200);
    expect(decodeJwt(permitted.json().access_token).aud).toEqual(['gamma', 'zeta', 'eta']);
    expect(decodeJwt((await ask('alpha')).json().access_token).aud).toBe('alpha');
    const refusal = { status: 400, error: 'invalid_target', reason: 'policy.unknown_resource' };
    await expectRefused(house, await ask('zeta'), refusal);
  } finally {
    await house.close();
  }
});
