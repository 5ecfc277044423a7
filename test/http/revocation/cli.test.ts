/** `mintmark revoke` and `mintmark revocations list`, as processes of their own against a server that listens. */
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openHouse, type TestHouse, testAdminToken } from '../../support/house.ts';
import { testNowMillis } from '../../support/tokens.ts';
import { runCli } from '../admin/run-cli.ts';
import { gate, introspect, orders, tellRevocationStory } from './story.ts';

let story: Awaited<ReturnType<typeof tellRevocationStory>>;
let house: TestHouse;
let environment: Record<string, string>;
beforeAll(async () => {
  story = await tellRevocationStory();
  house = await openHouse(story.documents);
  const url = await house.app.listen({ host: '127.0.0.1', port: 0 });
  environment = { MINTMARK_URL: url, MINTMARK_TOKEN: testAdminToken };
});
afterAll(() => house.close());

const run = (args: readonly string[], input?: string) =>
  runCli(args, { environment, ...(input === undefined ? {} : { input }) });
const iso = (millis: number) => new Date(millis).toISOString();
const next = iso(testNowMillis + 1_000);

it('revokes a token from standard input or by its jti, and an identity, and lists them', {
  timeout: 90_000,
}, async () => {
  const gateToken = await story.introspectorToken(house.app);
  const isActive = async (token: string) => (await introspect(house.app, gateToken, token)).active;
  const [first, second, third] = [
    await story.token(house.app),
    await story.token(house.app),
    await story.token(house.app),
  ];
  expect(await run(['revoke', '--token', '-'], first)).toEqual({
    exitCode: 0,
    err: '',
    out: 'revoked, or good for nothing already\n',
  });
  expect([await isActive(first), await isActive(second)]).toEqual([false, true]);
  const { jti } = decodeJwt(second);
  expect(await run(['revoke', '--jti', String(jti), '--reason', 'a leak'])).toEqual({
    exitCode: 0,
    err: '',
    out: `revoked token ${jti}  issued before ${next}, by bootstrap: a leak\n`,
  });
  expect([await isActive(second), await isActive(third)]).toEqual([false, true]);
  const until = iso(testNowMillis + 3_600_000);
  const made = await run(['revoke', '--identity', orders, '--not-until', until, '--json']);
  expect(JSON.parse(made.out)).toMatchObject({ kind: 'identity', target: orders, before: until });
  expect(await isActive(third)).toBe(false);
  expect(await run(['revocations', 'list', '--kind', 'identity'])).toEqual({
    exitCode: 0,
    err: '',
    out: `identity ${orders}  issued before ${until}, by bootstrap\n`,
  });
  const page = JSON.parse((await run(['revocations', 'list', '--limit', '2', '--json'])).out);
  expect(page.revocations.map(({ kind }: { kind: string }) => kind)).toEqual(['identity', 'token']);
  expect(page.next_cursor).toEqual(expect.any(String));
  expect((await run(['revocations', 'list', '--target', gate])).err).toBe('nothing is revoked\n');
});

it('ends with 1 where the server refuses, and with 2 where the command is none', {
  timeout: 90_000,
}, async () => {
  const { kid } = decodeProtectedHeader(await story.introspectorToken(house.app));
  const signing = await run(['revoke', '--key', String(kid)]);
  expect(signing).toMatchObject({ exitCode: 1, out: '' });
  expect(signing.err).toContain('key: signs now, or will: rotate the keys first');
  const svid = await run(['revoke', '--token', '-', '--json'], await story.svid(orders));
  expect(svid).toMatchObject({ exitCode: 1, out: '' });
  expect(JSON.parse(svid.err)).toMatchObject({ error: 'unsupported_token_type' });
  for (const args of [[], ['--jti', 'a', '--key', 'b'], ['--jti', 'a', '--not-until', next]]) {
    expect(await run(['revoke', ...args])).toMatchObject({ exitCode: 2, out: '' });
  }
  expect(await run(['revoke', '--token', '-', '--reason', 'x'], 'a')).toMatchObject({ exitCode: 2, out: '' });
});
