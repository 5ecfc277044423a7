/** `mintmark policy`: the history and the way back, as a process of its own against a server that listens. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openHouse, type TestHouse, testAdminToken } from '../../support/house.ts';
import { callAdmin, putPolicy, resource } from './admin-calls.ts';
import { runCli } from './run-cli.ts';

let house: TestHouse;
let environment: Record<string, string>;
/** The two revisions that each test starts with: `one`, then `one` with other scopes and `two`. */
let [first, second] = [0, 0];

beforeAll(async () => {
  house = await openHouse([resource('of-file')]);
  const url = await house.app.listen({ host: '127.0.0.1', port: 0 });
  environment = { MINTMARK_URL: url, MINTMARK_TOKEN: testAdminToken };
});
afterAll(() => house.close());

async function make(reason: string, ...documents: readonly object[]): Promise<number> {
  const query = `?${new URLSearchParams({ reason })}`;
  return (await putPolicy(house.app, documents, { query })).json().revision;
}
beforeEach(async () => {
  await make('empty');
  first = await make('begin', resource('one'));
  second = await make('more\u202eerom', resource('one', { scopes: [] }), resource('two'));
});

const policy = (...args: readonly string[]) => runCli(['policy', ...args], { environment });
const names = async () =>
  (await callAdmin(house.app, '/policy'))
    .json()
    .documents.map(({ metadata }: { metadata: { name: string } }) => metadata.name)
    .sort();

describe('mintmark policy revisions', () => {
  it('lists the latest changes, newest first, unable to steer the terminal', async () => {
    const { exitCode, out, err } = await policy('revisions');
    expect([exitCode, err]).toEqual([0, '']);
    const at = new Date(house.clock.now()).toISOString();
    expect(out.split('\n').slice(0, 2)).toEqual([
      `${second}  ${at}  bootstrap  more\ufffderom`,
      `${first}  ${at}  bootstrap  begin`,
    ]);
    expect(out).toMatch(/\n1 {2}\S+ {2}file {2}MINTMARK_POLICY \S+\n$/);
    const { revisions } = JSON.parse((await policy('revisions', '--json')).out);
    expect(revisions[1]).toEqual({ revision: first, at, author: 'bootstrap', reason: 'begin' });
  });

  it('says what one of them changed', async () => {
    const { exitCode, out } = await policy('revisions', String(second));
    expect(exitCode).toBe(0);
    expect(out.split('\n').slice(1)).toEqual([
      '+ Resource/two',
      '~ Resource/one',
      '    spec.scopes: ["items:read"] → []',
      '1 added, 1 changed, 0 removed',
      '',
    ]);
    const shown = JSON.parse((await policy('revisions', String(second), '--json')).out);
    expect(shown).toMatchObject({ revision: second, diff: { added: [{ name: 'two' }], removed: [] } });
  });

  it('ends with 1 for one that there is not, and with 2 for what is no number', async () => {
    const missing = await policy('revisions', String(second + 1));
    expect(missing).toMatchObject({ exitCode: 1, out: '' });
    expect(missing.err).toContain(`The policy has no revision ${second + 1}.`);
    for (const command of ['revisions', 'rollback']) {
      const refused = await policy(command, 'latest');
      expect(refused).toMatchObject({ exitCode: 2, out: '' });
      expect(refused.err).toContain('latest is not the number of a revision');
    }
  });
});

describe('mintmark policy rollback', () => {
  it('makes the policy what it was, and prints what that changed', { timeout: 90_000 }, async () => {
    const shown = await policy('rollback', String(first), '--dry-run');
    expect(shown).toMatchObject({ exitCode: 0, err: '' });
    expect(shown.out).toContain('0 added, 1 changed, 1 removed; not applied\n');
    expect(await names()).toEqual(['of-file', 'one', 'two']);
    const done = await policy('rollback', String(first));
    expect(done.out).toBe(
      `~ Resource/one\n    spec.scopes: [] → ["items:read"]\n- Resource/two\n0 added, 1 changed, 1 removed; the policy is now at revision ${second + 1}\n`,
    );
    expect(await names()).toEqual(['of-file', 'one']);
    expect((await policy('rollback', String(first))).out).toBe(
      `nothing to change; the policy is at revision ${second + 1}\n`,
    );
    const back = JSON.parse((await policy('rollback', String(second), '--json')).out);
    expect(back).toMatchObject({ revision: second + 2, diff: { added: [{ name: 'two' }] }, warnings: [] });
  });

  it('ends with 1 where the server refuses', async () => {
    const refused = await policy('rollback', String(second + 1), '--json');
    expect(refused).toMatchObject({ exitCode: 1, out: '' });
    expect(JSON.parse(refused.err)).toMatchObject({ type: 'urn:mintmark:problem:not-found', status: 404 });
    expect((await policy('rollback')).exitCode).toBe(2);
  });
});
