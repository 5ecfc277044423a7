/** The systemd unit, as Debian's systemd reads it: without a complaint, and as closed as a program of V8 can be. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../../src/config.ts';

const root = join(import.meta.dirname, '../../..');
const unit = readFileSync(join(root, 'deploy/systemd/mintmark.service'), 'utf8');
/** All values of a directive, in their order. */
const valuesOf = (directive: string) =>
  [...unit.matchAll(new RegExp(`^${directive}=(.*)$`, 'gm'))].map(([, value = '']) => value);

let folder: string;
let file: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mintmark-unit-'));
  file = join(folder, 'mintmark.service');
  // Node.js is where this machine has it; a unit that names a missing program is not one that could start.
  writeFileSync(file, unit.replaceAll('/usr/bin/node', process.execPath));
});
afterAll(() => rmSync(folder, { recursive: true }));

const analyze = (...args: string[]) =>
  spawnSync('systemd-analyze', ['--no-pager', ...args], { encoding: 'utf8' });

describe('mintmark.service', () => {
  it('is understood by systemd, which finds fault with one that is not', () => {
    const { status, stderr } = analyze('verify', file);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const broken = join(folder, 'broken.service');
    writeFileSync(broken, unit.replace('ProtectSystem=strict', 'ProtectSystem=very'));
    expect(analyze('verify', broken).stderr).toMatch(/Failed to parse protect system/);
  });

  it('is exposed to at most 1.5 of 10, and says why memory may be written and run', () => {
    expect(analyze('security', '--offline=true', '--threshold=15', file).status).toBe(0);
    const open = join(folder, 'open.service');
    writeFileSync(open, unit.replace(/^(ProtectSystem|SystemCallFilter|DynamicUser|PrivateUsers)=.*$/gm, ''));
    expect(analyze('security', '--offline=true', '--threshold=15', open).status).toBe(1);
    expect(unit).toMatch(/# Not set: MemoryDenyWriteExecute\. V8/);
  });

  it('gives the server settings that it takes, its secrets from credentials', () => {
    const environment = Object.fromEntries(
      valuesOf('Environment')
        .join(' ')
        .split(' ')
        .map((setting) => setting.split('=') as [string, string])
        .map(([name, value]) => [name, value.replace('%d', folder).replace('%S', folder)]),
    );
    const credentials = valuesOf('LoadCredential').map((value) => value.split(':')[0] ?? '');
    expect(credentials).toEqual(['key-encryption-key', 'admin-token']);
    for (const name of credentials) writeFileSync(join(folder, name), 'ab'.repeat(32));
    const config = readConfig(environment);
    expect(config.keyEncryptionKey?.reveal()).toHaveLength(32);
    expect(config.adminToken).not.toBe('off');
    expect(config.dataDir).toBe(join(folder, 'mintmark'));
    expect(valuesOf('StateDirectory')).toEqual(['mintmark']);
  });

  it('stops the server later than the drain gives up', () => {
    const drain = /drainTimeoutMillis = ([\d_]+)/.exec(readFileSync(join(root, 'src/main.ts'), 'utf8'));
    const drainMillis = Number(drain?.[1]?.replaceAll('_', ''));
    expect(Number(valuesOf('TimeoutStopSec')[0]) * 1000).toBeGreaterThan(drainMillis);
  });
});
