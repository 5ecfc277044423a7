/** `/admin/v1/issuers/{name}/check`. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { newAddress, openHouse, type TestHouse, testAdminToken, testIssuer } from '../../support/house.ts';
import { jwksOf, kubernetesClaims, makeKey, signToken, type TestKey } from '../../support/tokens.ts';
import { callAdmin } from './admin-calls.ts';
import { runCli } from './run-cli.ts';

let house: TestHouse;
let key: TestKey;
beforeAll(async () => {
  key = await makeKey('k1');
  house = await openHouse([
    {
      apiVersion: 'mintmark/v1',
      kind: 'Issuer',
      metadata: { name: 'prod' },
      spec: { platform: 'kubernetes', issuer: 'https://cluster.example', keys: { jwks: jwksOf(key) } },
    },
  ]);
});
afterAll(() => house.close());

const check = (name: string, payload: object) =>
  callAdmin(house.app, `/issuers/${name}/check`, { method: 'POST', payload });

it('accepts a genuine token, and keeps neither it nor its claims', async () => {
  const token = await signToken(key, kubernetesClaims('https://cluster.example', testIssuer));
  const response = await check('prod', { token });
  expect(response.statusCode).toBe(200);
  expect(response.headers['cache-control']).toBe('no-store');
  expect(response.json()).toMatchObject({
    verdict: 'accepted',
    spiffe_id: 'spiffe://mintmark.test/prod/ns/payments/sa/api',
    also_accepted_by: [],
  });
  const event = await house.eventOf(String(response.headers['x-request-id']));
  expect(event).toMatchObject({
    action: 'admin.issuer.check',
    outcome: 'permitted',
    summary: 'checked a token against Issuer prod: accepted',
  });
  expect(JSON.stringify(event)).not.toContain('payments');
  expect(house.log()).not.toContain(token);
});

it('says what is wrong with another, step by step', async () => {
  const token = await signToken(key, kubernetesClaims('https://cluster.example', 'https://else.example'));
  const response = await check('prod', { token });
  expect(response.json()).toMatchObject({ verdict: 'refused', reason: 'credential.audience_mismatch' });
  const failed = response.json().steps.filter(({ ok }: { ok: boolean }) => !ok);
  expect(failed).toEqual([
    { name: 'aud', ok: false, reason: 'credential.audience_mismatch', detail: expect.any(String) },
  ]);
  const event = await house.eventOf(String(response.headers['x-request-id']));
  expect(event).toMatchObject({
    summary: 'checked a token against Issuer prod: refused, credential.audience_mismatch',
  });
  expect(JSON.stringify(event)).not.toContain('else.example');
});

it('answers 404 to an unknown name, 400 to another body and 401 to a stranger', async () => {
  const absent = await check('none', { token: 'x' });
  expect([absent.statusCode, absent.json().type]).toEqual([404, 'urn:mintmark:problem:not-found']);
  const malformed = await check('prod', { tokens: 'x' });
  expect([malformed.statusCode, malformed.json().type]).toEqual([
    400,
    'urn:mintmark:problem:malformed-request',
  ]);
  const stranger = await house.app.inject({
    method: 'POST',
    url: '/admin/v1/issuers/prod/check',
    remoteAddress: newAddress(),
    payload: { token: 'x' },
  });
  expect([stranger.statusCode, stranger.json().type]).toEqual([401, 'urn:mintmark:problem:unauthorized']);
});

it('is a command that ends with 0 for a token that is accepted, and 1 with each failure for another', async () => {
  const url = await house.app.listen({ host: '127.0.0.1', port: 0 });
  const environment = { MINTMARK_URL: url, MINTMARK_TOKEN: testAdminToken };
  const run = async (audience: string, ...more: string[]) => {
    const input = await signToken(key, kubernetesClaims('https://cluster.example', audience));
    return runCli(['issuer', 'check', 'prod', '--token', '-', ...more], { environment, input });
  };
  const accepted = await run(testIssuer);
  expect(accepted).toMatchObject({ exitCode: 0, err: '' });
  expect(accepted.out).toMatch(
    /^ok {6}jwt\n(?:.*\n)*accepted: spiffe:\/\/mintmark\.test\/prod\/ns\/payments\/sa\/api\n$/,
  );
  const refused = await run('https://else.example');
  expect(refused).toMatchObject({ exitCode: 1, err: '' });
  expect(refused.out).toMatch(/\nfailed {2}aud: aud: expected "https:\/\/sts\.test".*\n(?:.*\n)*refused: /);
  const json = await run('https://else.example', '--json');
  expect(json.exitCode).toBe(1);
  expect(JSON.parse(json.out)).toMatchObject({ reason: 'credential.audience_mismatch' });
});
