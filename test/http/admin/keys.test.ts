/** Signing keys over REST: what is shown of them, how an admin turns them, and what the audit keeps of it. */
import { createLocalJWKSet, decodeProtectedHeader, errors, jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openHouse, type TestHouse } from '../../support/house.ts';
import { callAdmin } from './admin-calls.ts';
import { type AdminStory, adminGrant, tellAdminStory } from './admin-story.ts';

const daySeconds = 86_400;

let story: AdminStory;
let house: TestHouse;
let startedAt: number;
beforeEach(async () => {
  story = await tellAdminStory();
  house = await openHouse([...story.documents, adminGrant()]);
  startedAt = house.clock.now();
  house.clock.set(startedAt + 1000);
});
afterEach(() => house.close());

type Listed = { kid: string; state: string; public_jwk: Record<string, string> } & Record<string, string>;

const list = async (): Promise<Listed[]> => (await callAdmin(house.app, '/keys')).json().keys;
const kidOf = async (state: string) => (await list()).find((key) => key.state === state)?.kid ?? '';
const post = (path: string, payload?: object) =>
  callAdmin(house.app, `/keys/${path}`, { method: 'POST', ...(payload === undefined ? {} : { payload }) });
const jwks = async () => (await house.app.inject('/.well-known/jwks.json')).json<{ keys: Listed[] }>();
const eventOf = (response: { headers: Record<string, unknown> }) =>
  house.eventOf(String(response.headers['x-request-id']));
const iso = (millis: number) => new Date(millis).toISOString();
const mint = async (): Promise<string> => (await story.ask(house.app, ['keys:read'])).json().access_token;
const verify = async (token: string) =>
  jwtVerify(token, createLocalJWKSet(await jwks()), { currentDate: new Date(house.clock.now()) });

describe('GET /admin/v1/keys', () => {
  it('shows each key, its life and its public half, and no private byte', async () => {
    const response = await callAdmin(house.app, '/keys');
    expect(response.statusCode).toBe(200);
    expect(response.headers['cache-control']).toBe('no-store');
    const published = (await jwks()).keys;
    const [active, next] = response.json().keys;
    const nextAt = startedAt + 30 * daySeconds * 1000;
    expect(response.json().keys).toHaveLength(2);
    expect(response.json().keys.map(({ public_jwk: jwk }: Listed) => jwk)).toEqual(
      expect.arrayContaining(published),
    );
    expect(active).toMatchObject({
      alg: 'ES256',
      use: 'sig',
      state: 'active',
      created_at: iso(startedAt),
      activates_at: iso(startedAt),
      retires_at: iso(nextAt),
      leaves_at: iso(nextAt + 2 * daySeconds * 1000),
    });
    expect(Object.keys(next).toSorted()).toEqual(
      ['activates_at', 'alg', 'created_at', 'kid', 'public_jwk', 'state', 'use'].toSorted(),
    );
    expect(next).toMatchObject({ state: 'next', activates_at: iso(nextAt) });
    expect(response.body).not.toMatch(/"d"|wrapped|private/i);
    expect(await eventOf(response)).toMatchObject({
      action: 'admin.keys.list',
      outcome: 'permitted',
      summary: 'listed 2 signing keys',
    });
  });
});

describe('POST /admin/v1/keys/rotate', () => {
  it('brings the next key forward to when it was published long enough; again, it changes nothing', async () => {
    const next = await kidOf('next');
    const signsAt = startedAt + daySeconds * 1000;
    const response = await post('rotate');
    expect(response.statusCode).toBe(200);
    expect(response.json().changes).toEqual([
      { kid: next, alg: 'ES256', was: 'next', is: 'next', activates_at: iso(signsAt) },
    ]);
    expect(await eventOf(response)).toMatchObject({
      action: 'admin.keys.rotate',
      outcome: 'permitted',
      actor: 'bootstrap',
      summary: `asked to rotate the signing keys: ES256 ${next} next → next, signs from ${iso(signsAt)}`,
    });
    const again = await post('rotate', { emergency: false });
    expect(again.json().changes).toEqual([]);
    expect(await eventOf(again)).toMatchObject({
      summary: 'asked to rotate the signing keys: nothing changed',
    });
    expect(decodeProtectedHeader(await mint()).kid).not.toBe(next);
    house.clock.set(signsAt);
    expect(await kidOf('active')).toBe(next);
  });

  it('in an emergency lets it sign at once, and old tokens verify still', async () => {
    const [old, next] = [await kidOf('active'), await kidOf('next')];
    const before = await mint();
    expect(decodeProtectedHeader(before).kid).toBe(old);
    const response = await post('rotate', { emergency: true, reason: 'a laptop was lost' });
    expect(response.statusCode).toBe(200);
    const made = await kidOf('next');
    const nextAt = iso(house.clock.now() + 30 * daySeconds * 1000);
    expect(response.json().changes).toEqual([
      { kid: old, alg: 'ES256', was: 'active', is: 'retiring', activates_at: iso(startedAt) },
      { kid: next, alg: 'ES256', was: 'next', is: 'active', activates_at: iso(house.clock.now()) },
      { kid: made, alg: 'ES256', is: 'next', activates_at: nextAt },
    ]);
    expect(await eventOf(response)).toMatchObject({
      summary: `asked to rotate the signing keys in an emergency: ES256 ${old} active → retiring; ES256 ${next} next → active; ES256 ${made} new → next, signs from ${nextAt}; reason: a laptop was lost`,
    });
    const after = await mint();
    expect(decodeProtectedHeader(after).kid).toBe(next);
    await verify(after);
    await verify(before);
  });

  it('refuses a body that it does not understand, changes nothing, and records that', async () => {
    const before = await list();
    for (const payload of [
      { emergancy: true },
      { emergency: 'true' },
      { reason: 'a\nb' },
      { reason: 'x'.repeat(1025) },
      [],
    ]) {
      const response = await post('rotate', payload);
      expect(response.statusCode, JSON.stringify(payload)).toBe(400);
      expect(response.json().type).toBe('urn:mintmark:problem:malformed-request');
      expect(await eventOf(response)).toMatchObject({ outcome: 'refused', reason: 'request.malformed' });
    }
    expect(await list()).toEqual(before);
    expect((await post('rotate', { emergency: true, reason: 'x'.repeat(1024) })).statusCode).toBe(200);
  });
});

describe('POST /admin/v1/keys/{kid}/revoke', () => {
  it('takes the signing key out at once: its tokens verify no more, the next key signs, another is made', async () => {
    const [old, next] = [await kidOf('active'), await kidOf('next')];
    const before = await mint();
    await verify(before);
    const response = await post(`${old}/revoke`, { reason: 'stolen' });
    expect(response.statusCode).toBe(200);
    const made = await kidOf('next');
    expect((await jwks()).keys.map(({ kid }) => kid).toSorted()).toEqual([next, made].toSorted());
    expect(await eventOf(response)).toMatchObject({
      action: 'admin.keys.revoke',
      outcome: 'permitted',
      summary: expect.stringMatching(
        `^asked to revoke the key ${old}: ES256 ${old} active → gone; ES256 ${next} next → active; ES256 ${made} new → next, signs from .+; reason: stolen$`,
      ),
    });
    await expect(verify(before)).rejects.toThrow(errors.JWKSNoMatchingKey);
    const after = await mint();
    expect(decodeProtectedHeader(after).kid).toBe(next);
    await verify(after);
    // The admin API verifies with the same keys: the old token opens nothing any more.
    const listWith = (token: string) =>
      callAdmin(house.app, '/keys', { headers: { authorization: `Bearer ${token}` } });
    const refused = await listWith(before);
    expect(refused.statusCode).toBe(401);
    expect(await eventOf(refused)).toMatchObject({ reason: 'token.key_unknown' });
    expect((await listWith(after)).statusCode).toBe(200);
  });

  it('takes out the next key, and makes another in its place', async () => {
    const [active, next] = [await kidOf('active'), await kidOf('next')];
    expect((await post(`${next}/revoke`)).statusCode).toBe(200);
    const keys = await list();
    expect(keys.map(({ state }) => state)).toEqual(['active', 'next']);
    expect(keys[0]?.kid).toBe(active);
    expect(keys[1]?.kid).not.toBe(next);
  });

  it('revokes one key after another, and there is always one that signs', async () => {
    for (let turn = 0; turn < 4; turn++) {
      house.clock.set(house.clock.now() + 1000);
      expect((await post(`${await kidOf('active')}/revoke`)).statusCode).toBe(200);
      await verify(await mint());
    }
    expect((await list()).map(({ state }) => state)).toEqual(['active', 'next']);
  });

  it('answers 404 for a kid that there is not, also one that was revoked, and records it', async () => {
    const old = await kidOf('active');
    await post(`${old}/revoke`);
    for (const kid of [old, 'nobody']) {
      const before = await list();
      const response = await post(`${kid}/revoke`);
      expect(response.statusCode).toBe(404);
      expect(response.json()).toMatchObject({
        type: 'urn:mintmark:problem:not-found',
        detail: `No signing key has the kid ${kid}. One that was revoked already is gone.`,
      });
      expect(await eventOf(response)).toMatchObject({
        outcome: 'refused',
        reason: 'admin.not_found',
        summary: `asked to revoke the key ${kid}: nothing changed`,
      });
      expect(await list()).toEqual(before);
    }
    expect((await post('a%00b/revoke')).statusCode).toBe(400);
  });
});
