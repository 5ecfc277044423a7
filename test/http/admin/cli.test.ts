/** The command line, as a process of its own, against a server that listens. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openHouse, type TestHouse, testAdminToken } from '../../support/house.ts';
import { freePort } from '../../support/server.ts';
import { orders, tellStory } from '../token/story.ts';
import { callAdmin, putPolicy, resource } from './admin-calls.ts';
import { runCli } from './run-cli.ts';

let house: TestHouse;
let story: Awaited<ReturnType<typeof tellStory>>;
let environment: Record<string, string>;
let folder: string;

beforeAll(async () => {
  story = await tellStory();
  house = await openHouse(story.documents);
  const url = await house.app.listen({ host: '127.0.0.1', port: 0 });
  environment = { MINTMARK_URL: url, MINTMARK_TOKEN: testAdminToken };
  folder = mkdtempSync(join(tmpdir(), 'mintmark-cli-'));
});
afterAll(async () => {
  await house.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  expect((await putPolicy(house.app, [])).statusCode).toBe(200);
});

function file(name: string, ...documents: readonly object[]): string {
  const path = join(folder, name);
  writeFileSync(
    path,
    documents.map((document) => `---\n${JSON.stringify(document, undefined, 2)}\n`).join(''),
  );
  return path;
}

async function names(): Promise<string[]> {
  const { documents, managed_by_file: byFile } = (await callAdmin(house.app, '/policy')).json();
  const hidden = new Set(byFile.map(({ name }: { name: string }) => name));
  return documents
    .map(({ metadata }: { metadata: { name: string } }) => metadata.name)
    .filter((name: string) => !hidden.has(name));
}

describe('mintmark apply', () => {
  it('leaves PolicyTest documents out, and says so', async () => {
    const policyTest = {
      apiVersion: 'mintmark/v1',
      kind: 'PolicyTest',
      metadata: { name: 'ours' },
      spec: [{ given: { spiffeId: 'spiffe://prod.test/a' }, expect: { permit: false } }],
    };
    const path = file('tested.yaml', resource('tested'), policyTest);
    const applied = await runCli(['apply', '-f', path], { environment });
    expect(applied).toMatchObject({
      exitCode: 0,
      err: 'left out, for "mintmark test" to run: PolicyTest/ours\n',
    });
    expect(applied.out).toMatch(/^\+ Resource\/tested\n1 added, /);
    const json = await runCli(['apply', '-f', path, '--json'], { environment });
    expect(json).toMatchObject({ exitCode: 0, err: '' });
    expect(JSON.parse(json.out).left_out).toEqual(['PolicyTest/ours']);
    const none = await runCli(['apply', '-f', file('tested.yaml', resource('tested')), '--json'], {
      environment,
    });
    expect(JSON.parse(none.out).left_out).toEqual([]);
    expect(await names()).toEqual(['tested']);
    expect((await putPolicy(house.app, [policyTest])).json()).toMatchObject({
      type: 'urn:mintmark:problem:policy-refused',
      problems: [{ document: 'PolicyTest/ours', field: 'kind' }],
    });
  });

  it('creates, replaces whole, leaves the rest alone, and prints what changed', async () => {
    await putPolicy(house.app, [resource('other')]);
    const created = await runCli(['apply', '-f', file('a.yaml', resource('one'), resource('two'))], {
      environment,
    });
    expect(created).toMatchObject({ exitCode: 0, err: '' });
    expect(created.out).toMatch(
      /^\+ Resource\/one\n\+ Resource\/two\n2 added, 0 changed, 0 removed; the policy is now at revision \d+\n$/,
    );
    const replaced = await runCli(
      ['apply', '-f', file('a.yaml', resource('one', { scopes: [] })), '--reason', 'no scopes'],
      { environment },
    );
    expect(replaced.out).toContain('~ Resource/one\n    spec.scopes: ["items:read"] → []\n');
    expect((await names()).sort()).toEqual(['one', 'other', 'two']);
  });

  it('prunes what its set wrote before, and nothing else', async () => {
    await putPolicy(house.app, [resource('other')]);
    const apply = (...args: string[]) => runCli(['apply', '--set', 'team', ...args], { environment });
    await apply('-f', file('b.yaml', resource('one'), resource('two')));
    await runCli(['apply', '--set', 'else', '-f', file('c.yaml', resource('three'))], { environment });
    const kept = await apply('-f', file('b.yaml', resource('one')));
    expect(kept.out).toContain('nothing to change');
    expect((await names()).sort()).toEqual(['one', 'other', 'three', 'two']);
    const pruned = await apply('--prune', '-f', file('b.yaml', resource('one')));
    expect(pruned.out).toContain('- Resource/two\n');
    expect((await names()).sort()).toEqual(['one', 'other', 'three']);
    const { documents } = (await callAdmin(house.app, '/policy')).json();
    expect(documents).toContainEqual({
      ...resource('one'),
      metadata: { name: 'one', labels: { 'mintmark/set': 'team' } },
    });
  });

  it('changes nothing in a dry run', async () => {
    const result = await runCli(['apply', '--dry-run', '-f', file('d.yaml', resource('one'))], {
      environment,
    });
    expect(result).toMatchObject({
      exitCode: 0,
      out: '+ Resource/one\n1 added, 0 changed, 0 removed; not applied\n',
    });
    expect(await names()).toEqual([]);
  });

  it('says at which line of the file a mistake stands', async () => {
    const path = join(folder, 'wrong.yaml');
    writeFileSync(
      path,
      'apiVersion: mintmark/v1\nkind: Resource\nmetadata:\n  name: wrong\nspec:\n  audience: https://wrong.test\n  colour: red\n',
    );
    const result = await runCli(['apply', '-f', path], { environment });
    expect(result.exitCode).toBe(1);
    expect(result.out).toBe('');
    expect(result.err).toMatch(/wrong\.yaml:7: Resource\/wrong spec\.colour: /);
    expect(await names()).toEqual([]);
  });

  it('prints warnings about what it applied on stderr, at their lines', async () => {
    const path = join(folder, 'warned.yaml');
    writeFileSync(
      path,
      'apiVersion: mintmark/v1\nkind: Issuer\nmetadata:\n  name: warned\nspec:\n  platform: kubernetes\n  issuer: https://oidc.warned.test\n  subject: /warned/{kubernetes.io.pod.name}\n',
    );
    const result = await runCli(['apply', '-f', path], { environment });
    expect(result.exitCode).toBe(0);
    expect(result.err).toMatch(/^warning: .*warned\.yaml:8: Issuer\/warned spec\.subject: .*\n$/);
    const other = await runCli(['apply', '-f', file('a.yaml', resource('one'))], { environment });
    expect(other).toMatchObject({ exitCode: 0, err: '' });
    const json = await runCli(['apply', '--json', '-f', path], { environment });
    expect(JSON.parse(json.out).warnings).toMatchObject([{ document: 'Issuer/warned' }]);
  });

  it('refuses what the server manages by file, and says where to change it', async () => {
    const result = await runCli(['apply', '-f', file('e.yaml', resource('alpha'))], { environment });
    expect(result.exitCode).toBe(1);
    expect(result.err).toContain('Resource/alpha');
    expect(result.err).toContain('MINTMARK_POLICY');
  });

  it('prints JSON for scripts, also of a refusal', async () => {
    const done = await runCli(['apply', '--json', '-f', file('f.yaml', resource('one'))], { environment });
    expect(JSON.parse(done.out)).toMatchObject({
      revision: expect.any(Number),
      diff: { added: [{ kind: 'Resource', name: 'one' }] },
    });
    const refused = await runCli(['--json', 'apply', '-f', file('f.yaml', resource('alpha'))], {
      environment,
    });
    expect(JSON.parse(refused.err)).toMatchObject({ type: 'urn:mintmark:problem:managed-by-file' });
  });

  it('lets two writers at once both win', async () => {
    const results = await Promise.all(
      ['p', 'q', 'r'].map((name) =>
        runCli(['apply', '-f', file(`${name}.yaml`, resource(name))], { environment }),
      ),
    );
    expect(results.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0]);
    expect((await names()).sort()).toEqual(['p', 'q', 'r']);
  });

  it.each([
    ['no -f', ['apply'], {}],
    ['--prune without --set', ['apply', '--prune', '-f', 'x.yaml'], {}],
    ['an unknown option', ['apply', '--purge', '-f', 'x.yaml'], {}],
    ['an unknown command', ['aply'], {}],
    ['http off loopback', ['why', 'x'], { MINTMARK_URL: 'http://mintmark.example' }],
    ['a token twice', ['why', 'x'], { MINTMARK_TOKEN_FILE: 'token' }],
  ])('answers %s with exit code 2', async (_name, args, extra) => {
    const result = await runCli(args, { environment: { ...environment, ...extra } });
    expect(result).toMatchObject({ exitCode: 2, out: '' });
    expect(result.err).not.toBe('');
    expect(result.err).not.toContain(testAdminToken);
  });
});

describe('mintmark diff', () => {
  it('exits with 1 where something differs, with 0 where nothing does, and changes nothing', async () => {
    const path = file('g.yaml', resource('one'));
    const differs = await runCli(['diff', '-f', path], { environment });
    expect(differs).toMatchObject({ exitCode: 1, err: '' });
    expect(differs.out).toContain('+ Resource/one\n');
    expect(await names()).toEqual([]);
    await runCli(['apply', '-f', path], { environment });
    expect(await runCli(['diff', '-f', path], { environment })).toMatchObject({ exitCode: 0, err: '' });
  });

  it('says what recent exchanges would become', async () => {
    const input = await story.platformToken();
    const args = ['token', '--audience', 'https://replayed.test', '--credential-file', '-'];
    expect(await runCli(args, { environment, input })).toMatchObject({ exitCode: 1 });
    const grant = {
      ...resource('cluster-replayed'),
      kind: 'Grant',
      spec: {
        subjects: [{ issuer: 'cluster' }],
        acknowledgeWide: true,
        resource: 'replayed',
        scopes: ['items:read'],
      },
    };
    const path = file('replayed.yaml', resource('replayed'), grant);
    const shown = await runCli(['diff', '-f', path, '--replay', '100'], { environment });
    expect(shown).toMatchObject({ exitCode: 1, err: '' });
    expect(shown.out).toMatch(
      /\+ spiffe:\S+ for https:\/\/replayed\.test: policy\.unknown_resource → permitted \(1, such as [\w-]+\)/,
    );
    expect(await runCli(['diff', '-f', path, '--replay', '1001'], { environment })).toMatchObject({
      exitCode: 2,
    });
  });
});

describe('mintmark token and mintmark why', () => {
  it('gets a token from standard input, shows its claims, and why it was given', async () => {
    const input = await story.platformToken();
    const args = ['token', '--audience', 'alpha', '--scope', 'alpha', '--credential-file', '-'];
    const printed = await runCli(args, { environment, input });
    expect(printed).toMatchObject({ exitCode: 0, err: '' });
    expect(printed.out).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    const decoded = await runCli([...args, '--decode'], { environment, input });
    expect(JSON.parse(decoded.out)).toMatchObject({ aud: 'alpha', scope: 'alpha' });
    const whole = await runCli([...args, '--json'], { environment, input });
    expect(JSON.parse(whole.out)).toMatchObject({ token_type: 'Bearer', expires_in: 120 });
  });

  it('says what was refused, and tells the admin who, what and why', async () => {
    const path = join(folder, 'credential');
    writeFileSync(path, `${await story.platformToken()}\n`);
    const refused = await runCli(['token', '--audience', 'beta', '--credential-file', path], { environment });
    expect(refused).toMatchObject({ exitCode: 1, out: '' });
    const requestId = /mintmark why (\S+)/.exec(refused.err)?.[1] ?? '';
    expect(refused.err).toContain('invalid_target');

    const told = await runCli(['why', requestId], { environment });
    expect(told).toMatchObject({ exitCode: 0, err: '' });
    expect(told.out).toContain('✗ A token was refused: no grant on that resource is for this identity.\n');
    expect(told.out).toContain('caller     spiffe://mintmark.test/cluster/ns/payments/sa/api\n');
    expect(told.out).toContain('vouched by Issuer/cluster (platform-token)\n');
    expect(told.out).toContain('asked for  beta\n');
    expect(told.out).toContain('reason     policy.no_grant\n');
    expect(told.out).toMatch(/✗ grant\n {4}expected a Grant on beta\n {4}actual {3}none\n/);
    const json = await runCli(['why', requestId, '--json'], { environment });
    expect(JSON.parse(json.out)).toMatchObject({ request_id: requestId, reason: 'policy.no_grant' });
  });

  it('refuses an empty credential before it sends anything', async () => {
    const result = await runCli(['token', '--credential-file', '-'], { environment, input: '\n' });
    expect(result.exitCode).toBe(2);
    expect(result.err).toContain('standard input holds no credential');
  });

  it('exits with 1 where there is no such event', async () => {
    const result = await runCli(['why', '01890000-0000-7000-8000-000000000000'], { environment });
    expect(result.exitCode).toBe(1);
    expect(result.err).toContain('No audit event');
  });
});

describe('mintmark audit events', () => {
  beforeEach(() => house.clock.set(house.clock.now() + 1000)); // later than the events before it
  it('finds the request that was refused, as a line that holds what why asks for', async () => {
    const input = await story.platformToken();
    const args = ['token', '--audience', 'beta', '--credential-file', '-'];
    const refused = await runCli(args, { environment, input });
    const requestId = /mintmark why (\S+)/.exec(refused.err)?.[1] ?? '';
    const identity = 'spiffe://mintmark.test/cluster/ns/payments/sa/api';
    const filters = ['--outcome', 'refused', '--identity', identity, '--since', '2020-01-01T00:00:00Z'];

    const found = await runCli(['audit', 'events', ...filters, '--limit', '1'], { environment });
    expect(found.exitCode).toBe(0);
    expect(found.out).toMatch(
      new RegExp(`^\\S+Z refused {3}${requestId} ${identity} → beta: policy\\.no_grant\\n$`),
    );
    const json = await runCli(['audit', 'events', ...filters, '--json'], { environment });
    expect(JSON.parse(json.out).events[0]).toMatchObject({ request_id: requestId, identity });
    const nobody = await runCli(['audit', 'events', '--identity', `${identity}/none`], { environment });
    expect(nobody).toMatchObject({ exitCode: 0, out: '', err: 'nothing matches\n' });
  });

  it('shows what admins did, and says where there is more', async () => {
    await callAdmin(house.app, '/status');
    const result = await runCli(['audit', 'events', '--limit', '1'], { environment });
    expect(result.out).toMatch(/^\S+Z permitted \S{36} bootstrap admin\.status\.read \(read the status\)\n$/);
    expect(result.err).toContain('older events match too');
  });

  it.each([
    ['an unknown outcome', ['--outcome', 'lost']],
    ['a time without an offset', ['--since', '2026-01-01T00:00:00']],
    ['more than a page', ['--limit', '201']],
  ])('exits with 1 on %s', async (_name, args) => {
    const result = await runCli(['audit', 'events', ...args], { environment });
    expect(result).toMatchObject({ exitCode: 1, out: '' });
    expect(result.err).toContain(args[0]?.slice(2));
  });
});

describe('the admin token', () => {
  it('comes from a file, or from the data folder of an embedded server', async () => {
    const tokenFile = join(folder, 'token');
    writeFileSync(tokenFile, `${testAdminToken}\n`);
    mkdirSync(join(folder, '.mintmark'), { recursive: true });
    writeFileSync(join(folder, '.mintmark', 'admin-token'), `${testAdminToken}\n`);
    const { MINTMARK_URL: url = '' } = environment;
    const path = file('h.yaml', resource('one'));
    for (const from of [{ MINTMARK_TOKEN_FILE: tokenFile }, {}]) {
      const result = await runCli(['diff', '-f', path], {
        environment: { MINTMARK_URL: url, ...from },
        folder,
      });
      expect(result).toMatchObject({ exitCode: 1, err: '' });
    }
    // The embedded server's token stays on this machine.
    const remote = await runCli(['diff', '-f', path], {
      environment: { MINTMARK_URL: 'https://mintmark.invalid' },
      folder,
    });
    expect(remote).toMatchObject({ exitCode: 2, out: '' });
    expect(remote.err).toContain('There is no admin token');
  });

  it('is told to be wrong, with what to check', async () => {
    const result = await runCli(['diff', '-f', file('i.yaml', resource('one'))], {
      environment: { ...environment, MINTMARK_TOKEN: 'wrong' },
    });
    expect(result.exitCode).toBe(1);
    expect(result.err).toContain('Check MINTMARK_TOKEN');
  });

  it('does not go out where nobody answers', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const result = await runCli(['why', 'x'], { environment: { ...environment, MINTMARK_URL: url } });
    expect(result.exitCode).toBe(1);
    expect(result.err).toContain(`${url} cannot be reached (ECONNREFUSED): is the server running?`);
  });
});

describe('mintmark explain', () => {
  const ask = (...args: string[]) => runCli(['explain', ...args], { environment });

  it('says what a supposed caller would get, and ends with 0', async () => {
    const permitted = await ask('--spiffe-id', orders, '--audience', 'alpha', '--scope', 'email alpha');
    expect(permitted).toMatchObject({ exitCode: 0, err: '' });
    expect(permitted.out).toMatch(
      /^✓ A token would be given\.\n\nidentity {3}spiffe:\/\/prod\.test\/orders\n(.*\n)*given {6}a token for alpha with scope email alpha, for 300 s\n(.*\n)*✓ Grant\/orders-alpha\n/,
    );
  });

  it('says why not, grant by grant, and ends with 1', async () => {
    const path = join(folder, 'claims.json');
    const claims = {
      sub: 'system:serviceaccount:payments:api',
      'kubernetes.io': { namespace: 'payments', serviceaccount: { name: 'api' } },
    };
    writeFileSync(path, JSON.stringify(claims));
    const asked = ['--issuer', 'cluster', '--audience', 'alpha', '--scope', 'email'];
    const refused = await ask(...asked, '--claims', `@${path}`);
    expect(refused).toMatchObject({ exitCode: 1, err: '' });
    expect(refused.out).toMatch(
      /^✗ A token would be refused: a scope was asked for that no grant permits\.\n/,
    );
    expect(refused.out).toContain(
      '✗ Grant/api-alpha: grant.scopes: expected among: alpha profile, actual asked for: email\n',
    );
    const json = await ask(...asked, '--claims', JSON.stringify(claims), '--json');
    expect(json).toMatchObject({ exitCode: 1, err: '' });
    expect(JSON.parse(json.out)).toMatchObject({ outcome: 'refused', reason: 'policy.scope_not_permitted' });
  });

  it('sends the additional claims that a request would', async () => {
    const asked = ['--spiffe-id', orders, '--audience', 'alpha', '--scope', 'alpha', '--json'];
    const refused = await ask(...asked, '--additional-claims', '{"order_id":"a1"}');
    expect(refused).toMatchObject({ exitCode: 1, err: '' });
    expect(JSON.parse(refused.out)).toMatchObject({ reason: 'request.claim_not_allowed' });
    expect(await ask(...asked, '--additional-claims', '{}')).toMatchObject({ exitCode: 0, err: '' });
  });

  it('asks for a JWT-SVID where it is told to', async () => {
    const who = ['--spiffe-id', orders, '--audience', 'alpha'];
    const refused = await ask(...who, '--token-format', 'jwt-svid');
    expect(refused).toMatchObject({ exitCode: 1, err: '' });
    expect(refused.out).toContain('the Resource’s tokenFormats do not hold the format asked for');
    expect(refused.out).toContain('token.format');
    expect(await ask(...who, '--token-format', 'access_token')).toMatchObject({ exitCode: 0 });
    const unknown = await ask(...who, '--token-format', 'saml');
    expect([unknown.exitCode, unknown.out]).toEqual([1, '']);
    expect(unknown.err).toContain('request/token_format: Invalid option');
  });

  it('takes a credential from standard input', async () => {
    const input = await story.platformToken();
    const result = await runCli(['explain', '--credential-file', '-', '--audience', 'alpha'], {
      environment,
      input,
    });
    expect(result).toMatchObject({ exitCode: 0, err: '' });
    expect(result.out).toContain('spiffe://mintmark.test/cluster/ns/payments/sa/api');
    expect(result.out).not.toContain(input);
  });

  it.each([
    ['nothing given', []],
    ['two things given', ['--spiffe-id', 'spiffe://prod.test/a', '--credential-file', '-']],
    ['claims that are no JSON', ['--issuer', 'cluster', '--claims', 'sub=x']],
    ['one additional claim twice', ['--spiffe-id', orders, '--additional-claims', '{"a":1,"a":2}']],
    ['a file that is not there', ['--issuer', 'cluster', '--claims', '@/nowhere']],
  ])('ends with 2 where it was called wrongly: %s', async (_title, args) => {
    expect(await ask(...args)).toMatchObject({ exitCode: 2, out: '' });
  });

  it('ends with 1 and the server’s words where it refuses the question', async () => {
    const result = await ask('--issuer', 'cluster');
    expect(result).toMatchObject({ exitCode: 1, out: '' });
    expect(result.err).toContain('an issuer needs claims beside it');
  });
});
