/** Several key rings behind one set of routes, and what is answered and recorded where a turn fails half way. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSoftwareKeys } from '../../../src/adapters/software-keys/open.ts';
import type { TokenAlgorithm } from '../../../src/core/algorithm.ts';
import { Secret } from '../../../src/core/secret.ts';
import { testClock } from '../../contract/backends.ts';
import { testKeyLife } from '../../support/key-life.ts';
import { memoryKeyStore } from '../../support/memory-key-store.ts';
import { openAdminAlone } from './admin-alone.ts';
import { callAdmin } from './admin-calls.ts';

let house: Awaited<ReturnType<typeof openAdminAlone>>;
let first: Awaited<ReturnType<typeof openRing>>;
let second: Awaited<ReturnType<typeof openRing>>;
beforeEach(async () => {
  house = await openAdminAlone();
  [first, second] = [await openRing('ES256'), await openRing('EdDSA')];
  house.keyRings.push(first.ring, second.ring);
});
afterEach(() => house.app.close());

async function openRing(algorithm: TokenAlgorithm) {
  const wanted = [algorithm];
  const keyStore = memoryKeyStore();
  const clock = testClock();
  const ring = await openSoftwareKeys({
    keyStore,
    keyEncryptionKey: new Secret<Uint8Array>(randomBytes(32)),
    clock,
    life: testKeyLife,
    algorithms: () => wanted,
  });
  clock.advance(1000);
  const kidOf = (state: string) => ring.list().find((key) => key.state === state)?.kid ?? '';
  return { ring, keyStore, clock, wanted, kidOf };
}

const post = (path: string, payload: object = {}) =>
  callAdmin(house.app, `/keys/${path}`, { method: 'POST', payload });
const eventOf = (response: { json(): { request_id: string } }) =>
  house.stores.audit.find(response.json().request_id);

it('lists the keys of all, turns all, and revokes in the one that has the key', async () => {
  const listed = (await callAdmin(house.app, '/keys')).json().keys;
  expect(listed.map(({ alg, state }: Record<string, string>) => `${alg} ${state}`)).toEqual([
    'ES256 active',
    'ES256 next',
    'EdDSA active',
    'EdDSA next',
  ]);
  const [firstNext, secondNext] = [first.kidOf('next'), second.kidOf('next')];
  expect((await post('rotate', { emergency: true })).statusCode).toBe(200);
  expect([first.ring.signer('ES256').kid, second.ring.signer('EdDSA').kid]).toEqual([firstNext, secondNext]);
  second.clock.advance(1000);
  const before = first.ring.list();
  expect((await post(`${secondNext}/revoke`)).statusCode).toBe(200);
  expect(second.ring.publicKeys().map(({ kid }) => kid)).not.toContain(secondNext);
  expect(first.ring.list()).toEqual(before);
});

it('where the store fails half way, says so, and the audit says which keys did change', async () => {
  const [old, next] = [first.kidOf('active'), first.kidOf('next')];
  second.keyStore.isLost = true;
  const response = await post('rotate', { emergency: true, reason: 'drill' });
  expect(response.statusCode).toBe(503);
  expect(response.headers['retry-after']).toBe('1');
  expect(response.json()).toMatchObject({
    type: 'urn:mintmark:problem:unavailable',
    detail:
      'The signing keys cannot be read or changed in the store right now. List them before you try again.',
  });
  expect(response.body).not.toContain('10.9.8.7');
  const event = await eventOf(response);
  expect(event).toMatchObject({
    outcome: 'failed',
    reason: 'server.key_store_unavailable',
    actor: 'bootstrap',
  });
  expect(event?.summary).toContain(`ES256 ${old} active → retiring; ES256 ${next} next → active`);
  expect(event?.summary).toMatch(/; reason: drill$/);
  expect(event?.summary).not.toContain('EdDSA');
  second.keyStore.isLost = false;
  second.clock.advance(1000);
  expect((await post(`${second.kidOf('active')}/revoke`)).statusCode).toBe(200);
});

it('answers 409 where others took the next key away meanwhile, changes nothing, and records that', async () => {
  await post('rotate', { emergency: true });
  first.clock.advance(1000);
  const [signing, next] = [first.kidOf('active'), first.kidOf('next')];
  first.wanted.splice(0);
  first.keyStore.meanwhile = (keys) => keys.filter(({ kid }) => kid !== next);
  const response = await post(`${signing}/revoke`);
  expect(response.statusCode).toBe(409);
  expect(response.json()).toMatchObject({
    type: 'urn:mintmark:problem:keys-conflict',
    detail: 'Nothing was changed. List the keys again, and send this again if it is still to be done.',
  });
  expect(await eventOf(response)).toMatchObject({
    outcome: 'refused',
    reason: 'admin.keys_conflict',
    summary: `asked to revoke the key ${signing}: nothing changed`,
  });
  expect(first.ring.signer('ES256').kid).toBe(signing);
  first.keyStore.meanwhile = (keys) => keys;
  expect((await post(`${signing}/revoke`)).statusCode).toBe(200);
  expect(first.ring.signer('ES256').kid).toBe(next);
});
