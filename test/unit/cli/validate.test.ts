/** `mintmark validate` and `--help`, as a process of its own and without a server. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../http/admin/run-cli.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mintmark-validate-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const valid = `apiVersion: mintmark/v1
kind: Resource
metadata: { name: inventory }
spec:
  audience: https://inventory.test
  scopes: [items:read]
---
apiVersion: mintmark/v1
kind: Grant
metadata: { name: reads }
spec:
  subjects: [{ spiffeId: spiffe://prod.test/orders }]
  resource: inventory
  scopes: [items:read]
---
apiVersion: mintmark/v1
kind: TrustDomain
metadata: { name: prod.test }
spec:
  bundle: { url: https://bundle.prod.test, profile: https_web }
`;

const warned = `apiVersion: mintmark/v1
kind: Issuer
metadata: { name: cluster }
spec:
  platform: kubernetes
  issuer: https://oidc.cluster.test
  subject: /cluster/{kubernetes.io.pod.name}
`;

describe('mintmark validate', () => {
  it('takes a policy that the server would take', async () => {
    const path = write('valid.yaml', valid);
    expect(await runCli(['validate', '-f', path])).toEqual({
      exitCode: 0,
      out: '3 documents: valid\n',
      err: '',
    });
    const json = await runCli(['validate', '--json', '-f', path]);
    expect(JSON.parse(json.out)).toEqual({ valid: true, documents: 3, tests: 0, warnings: [] });
  });

  it('prints warnings with their place on stderr, and takes the policy', async () => {
    const path = write('warned.yaml', warned);
    const result = await runCli(['validate', '-f', path]);
    expect(result).toMatchObject({ exitCode: 0, out: '1 document: valid\n' });
    expect(result.err).toMatch(
      /^warning: .*warned\.yaml:7: Issuer\/cluster spec\.subject: rests on names .*\n$/,
    );
    const json = await runCli(['validate', '--json', '-f', path]);
    expect(json.err).toBe('');
    expect(JSON.parse(json.out).warnings).toMatchObject([{ field: 'spec.subject', line: 7 }]);
  });

  it('prints a line for each mistake, with its place', async () => {
    const path = write(
      'wrong.yaml',
      valid.replace(
        'scopes: [items:read]\n---\napiVersion: mintmark/v1\nkind: Trust',
        'scopes: [items:erase]\n  colour: red\n---\napiVersion: mintmark/v1\nkind: Trust',
      ),
    );
    const result = await runCli(['validate', '-f', path]);
    expect(result).toMatchObject({ exitCode: 1, out: '' });
    expect(result.err).toMatch(/wrong\.yaml:15: Grant\/reads spec\.colour: /);
  });

  it('knows the trust domain that is its own, from the environment or an option', async () => {
    const path = write('own.yaml', valid);
    const named = await runCli(['validate', '-f', path, '--trust-domain', 'prod.test']);
    expect(named).toMatchObject({ exitCode: 1, out: '' });
    expect(named.err).toContain('TrustDomain/prod.test');
    const environment = { MINTMARK_ISSUER: 'https://prod.test' };
    expect(await runCli(['validate', '-f', path], { environment })).toMatchObject({ exitCode: 1 });
    expect(
      await runCli(['validate', '-f', path], {
        environment: { ...environment, MINTMARK_TRUST_DOMAIN: 'b.test' },
      }),
    ).toMatchObject({ exitCode: 0 });
  });

  it('says which file it could not read', async () => {
    const result = await runCli(['validate', '-f', join(folder, 'absent.yaml')]);
    expect(result).toMatchObject({ exitCode: 1, out: '' });
    expect(result.err).toContain('absent.yaml');
  });
});

describe('mintmark --help', () => {
  it('is there for the program and for each command', async () => {
    const { exitCode, out } = await runCli(['--help']);
    expect(exitCode).toBe(0);
    const commands = ['serve', 'migrate', 'apply', 'diff', 'validate', 'test', 'explain', 'why', 'token'];
    for (const command of commands) expect(out).toMatch(new RegExp(`^  ${command} `, 'm'));
    const helps = await Promise.all(commands.map((command) => runCli([command, '--help'])));
    for (const [index, help] of helps.entries()) {
      expect(help).toMatchObject({ exitCode: 0, err: '' });
      expect(help.out).toContain(`Usage: mintmark ${commands[index]}`);
    }
  });

  it('prints the version', async () => {
    expect(await runCli(['--version'])).toEqual({ exitCode: 0, out: '0.1.0\n', err: '' });
  });
});
