/** What a stranger writes into an audit event must not steer the terminal of the admin who reads it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../http/admin/run-cli.ts';
import { openHouse, type TestHouse, testAdminToken } from '../../support/house.ts';

/** Sequences that clear the screen, set the title, hide a link, start a line; with C1 alone; turned writing; a fake verdict. */
const audience = [
  '\u001b[2J\u001b[H',
  '\u001b]0;title\u0007',
  '\u001b]8;;https://evil.test\u001b\\',
  '\u009b31m\u0085\u007f',
  '\u202egnitirw\u2066\u200b\u2028',
  '\r\n✓ A token was given.',
].join('');
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const steering = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/u;

let house: TestHouse;
let requestId: string;
let environment: Record<string, string>;
beforeAll(async () => {
  house = await openHouse([]);
  const url = await house.app.listen({ port: 0, host: '127.0.0.1' });
  environment = { MINTMARK_URL: url, MINTMARK_TOKEN: testAdminToken };
  const response = await house.app.inject({
    method: 'POST',
    url: '/api/v1/token',
    headers: { authorization: 'Bearer not.a.token' },
    payload: { audience },
  });
  requestId = response.json().request_id;
});
afterAll(() => house.close());

describe('mintmark why', () => {
  it('shows the event, which holds all of it', async () => {
    const event = await house.eventOf(requestId);
    expect(event).toMatchObject({ audience, reason: 'credential.malformed' });
    expect(JSON.stringify(event)).toMatch(steering);
  });

  it('prints one line for it, and nothing that steers', async () => {
    const { exitCode, out, err } = await runCli(['why', requestId], { environment });
    expect([exitCode, err]).toEqual([0, '']);
    expect(out).not.toMatch(steering);
    expect(out.split('\n').filter((line) => line.startsWith('✓'))).toEqual([]);
    expect(out).toContain('✗ A token was refused');
    expect(out).not.toContain(testAdminToken);
  });

  it('prints JSON of the same value, escaped', async () => {
    const { exitCode, out } = await runCli(['why', requestId, '--json'], { environment });
    expect(exitCode).toBe(0);
    expect(out).not.toMatch(steering);
    expect(JSON.parse(out).audience).toBe(audience);
  });
});
