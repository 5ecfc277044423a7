/** What verifiers are told of algorithms: those that tokens are signed with, as long as there are such tokens. */
import { afterEach, expect, it } from 'vitest';
import { openHouse, type TestHouse } from '../support/house.ts';
import { callAdmin, putPolicy, resource } from './admin/admin-calls.ts';

let house: TestHouse;
afterEach(() => house.close());

const daySeconds = 86_400;

async function told() {
  const configuration = (await house.app.inject('/.well-known/openid-configuration')).json();
  const { keys } = (await house.app.inject('/.well-known/jwks.json')).json<{ keys: { alg: string }[] }>();
  return {
    document: configuration.id_token_signing_alg_values_supported,
    keySet: [...new Set(keys.map(({ alg }) => alg))].toSorted(),
  };
}

it('lists the algorithms of the published keys, and RS256, which OpenID Connect requires', async () => {
  house = await openHouse([]);
  expect(await told()).toEqual({ document: ['ES256', 'RS256'], keySet: ['ES256'] });
  const put = await putPolicy(house.app, [resource('one', { signingAlg: 'EdDSA' })]);
  expect(put.statusCode).toBe(200);
  await callAdmin(house.app, '/keys/rotate', { method: 'POST' }); // which refreshes the ring at once
  expect(await told()).toEqual({ document: ['ES256', 'RS256', 'EdDSA'], keySet: ['ES256', 'EdDSA'] });
  // No resource uses it any more: it stays while tokens may be alive.
  await putPolicy(house.app, []);
  house.clock.set(house.clock.now() + 1000);
  await callAdmin(house.app, '/keys/rotate', { method: 'POST', payload: { emergency: true } });
  expect((await told()).keySet).toEqual(['ES256', 'EdDSA']);
  house.clock.set(house.clock.now() + 2 * daySeconds * 1000);
  await callAdmin(house.app, '/keys/rotate', { method: 'POST' });
  expect(await told()).toEqual({ document: ['ES256', 'RS256'], keySet: ['ES256'] });
});
