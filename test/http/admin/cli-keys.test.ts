/** `mintmark keys`, as a process of its own against a server that listens. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openHouse, type TestHouse, testAdminToken } from '../../support/house.ts';
import { callAdmin } from './admin-calls.ts';
import { runCli } from './run-cli.ts';

let house: TestHouse;
let environment: Record<string, string>;
beforeAll(async () => {
  house = await openHouse([]);
  const url = await house.app.listen({ host: '127.0.0.1', port: 0 });
  environment = { MINTMARK_URL: url, MINTMARK_TOKEN: testAdminToken };
});
afterAll(() => house.close());
beforeEach(() => house.clock.set(house.clock.now() + 1000));

const keys = (...args: readonly string[]) => runCli(['keys', ...args], { environment });
const kidOf = async (state: string): Promise<string> =>
  (await callAdmin(house.app, '/keys')).json().keys.find((key: { state: string }) => key.state === state)
    ?.kid;
const iso = (millis: number) => new Date(millis).toISOString();
const monthMillis = 30 * 86_400_000;
const note = 'resource servers see it once they read the JWK set again, which they may keep for 5 minutes\n';

describe('mintmark keys', () => {
  it('lists the keys in the order in which they sign', async () => {
    const [active, next] = [await kidOf('active'), await kidOf('next')];
    const madeAt = house.clock.now() - 1000;
    const nextAt = iso(madeAt + monthMillis);
    expect(await keys('list')).toEqual({
      exitCode: 0,
      err: '',
      out: `active    ES256  ${active}  signs since ${iso(madeAt)}, until ${nextAt}\nnext      ES256  ${next}  signs from ${nextAt}\n`,
    });
    const { keys: listed } = JSON.parse((await keys('list', '--json')).out);
    expect(listed.map(({ kid, state }: Record<string, string>) => [kid, state])).toEqual([
      [active, 'active'],
      [next, 'next'],
    ]);
    expect(listed[0].public_jwk).toMatchObject({ kid: active, kty: 'EC', crv: 'P-256' });
  });

  it('rotates as planned, or in an emergency, and prints what changed', { timeout: 90_000 }, async () => {
    const [old, next] = [await kidOf('active'), await kidOf('next')];
    const planned = await keys('rotate');
    expect(planned).toMatchObject({ exitCode: 0, err: '' });
    expect(planned.out).toMatch(new RegExp(`^~ ES256 ${next} {2}next, signs from \\S+\n$`));
    expect(await keys('rotate')).toEqual({ exitCode: 0, err: '', out: 'nothing to change\n' });
    const urgent = await keys('rotate', '--emergency', '--reason', 'drill');
    const nextAt = iso(house.clock.now() + monthMillis);
    expect(urgent).toEqual({
      exitCode: 0,
      err: '',
      out: `~ ES256 ${old}  active → retiring\n~ ES256 ${next}  next → active\n+ ES256 ${await kidOf('next')}  next, signs from ${nextAt}\n${note}`,
    });
    expect((await keys('list')).out).toContain(`retiring  ES256  ${old}  leaves `);
    const events = (await callAdmin(house.app, '/audit-events?action=admin.keys.rotate')).json().events;
    // All at one time of the test's clock, so in no order.
    expect(events.map(({ summary }: { summary: string }) => summary)).toContainEqual(
      expect.stringMatching(/^asked to rotate the signing keys in an emergency: .+; reason: drill$/),
    );
  });

  it('revokes a key without asking, and prints what it did', { timeout: 90_000 }, async () => {
    const [old, next] = [await kidOf('active'), await kidOf('next')];
    const { exitCode, out, err } = await keys('revoke', '--reason', 'stolen', '--', old);
    expect([exitCode, err]).toEqual([0, '']);
    const madeAt = iso(house.clock.now() + monthMillis);
    expect(out).toBe(
      `- ES256 ${old}  active, now revoked\n~ ES256 ${next}  next → active\n+ ES256 ${await kidOf('next')}  next, signs from ${madeAt}\n${note}`,
    );
    const later = JSON.parse((await keys('revoke', '--json', '--', next)).out);
    expect(later.changes[0]).toMatchObject({ kid: next, was: 'active' });
    expect(later.keys.map(({ kid }: { kid: string }) => kid)).not.toContain(next);
  });

  it('ends with 1 where the server refuses, and with 2 for what is no kid', async () => {
    const unknown = await keys('revoke', 'nobody', '--json');
    expect(unknown).toMatchObject({ exitCode: 1, out: '' });
    expect(JSON.parse(unknown.err)).toMatchObject({ type: 'urn:mintmark:problem:not-found', status: 404 });
    expect((await keys('revoke', 'nobody')).err).toContain('No signing key has the kid nobody.');
    const wrong = await keys('revoke', '../../policy');
    expect(wrong).toMatchObject({ exitCode: 2, out: '' });
    expect(wrong.err).toContain('../../policy is not the kid of a key');
    expect((await keys('revoke')).exitCode).toBe(2);
    expect((await keys('rotate', '--now')).exitCode).toBe(2);
  });
});
