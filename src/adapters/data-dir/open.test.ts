/** The data folder: private, one process at a time, and secrets that stay. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDataDir } from './open.ts';

let parent: string;
let path: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'mintmark-data-dir-'));
  path = join(parent, 'deep/data');
});
afterEach(() => rm(parent, { recursive: true }));

const modeOf = async (file: string) => (await stat(file)).mode & 0o777;

test('makes a folder, and secrets in it, that only their owner may read', async () => {
  const dataDir = await openDataDir(path);
  const secret = await dataDir.readOrCreateSecret('key-encryption-key', 32);
  expect(secret.reveal()).toHaveLength(32);
  expect(await modeOf(path)).toBe(0o700);
  expect(await modeOf(join(path, 'key-encryption-key'))).toBe(0o600);
  expect(await modeOf(join(path, 'lock'))).toBe(0o600);
  expect(await readFile(join(path, 'key-encryption-key'), 'utf8')).toBe(
    `${Buffer.from(secret.reveal()).toString('base64url')}\n`,
  );
  await dataDir.close();
  expect(await readdir(path)).toEqual(['key-encryption-key']);
});

test('reads the same secret again; another name is another secret', async () => {
  const dataDir = await openDataDir(path);
  const [first, again, other] = [
    await dataDir.readOrCreateSecret('admin-token', 32),
    await dataDir.readOrCreateSecret('admin-token', 32),
    await dataDir.readOrCreateSecret('other', 32),
  ];
  expect(again.reveal()).toEqual(first.reveal());
  expect(other.reveal()).not.toEqual(first.reveal());
  await dataDir.close();
});

test('ten callers at once get one secret', async () => {
  const dataDir = await openDataDir(path);
  const secrets = await Promise.all(Array.from({ length: 10 }, () => dataDir.readOrCreateSecret('one', 32)));
  expect(new Set(secrets.map((secret) => Buffer.from(secret.reveal()).toString('hex'))).size).toBe(1);
  await dataDir.close();
});

test('refuses a secret that others can read, one that was cut short, and a name that leaves the folder', async () => {
  const dataDir = await openDataDir(path);
  await dataDir.readOrCreateSecret('open', 32);
  await chmod(join(path, 'open'), 0o604);
  await expect(dataDir.readOrCreateSecret('open', 32)).rejects.toThrow('chmod 600');
  await writeFile(join(path, 'short'), 'AAAA', { mode: 0o600 });
  await expect(dataDir.readOrCreateSecret('short', 32)).rejects.toThrow('does not hold 32 bytes');
  await expect(dataDir.readOrCreateSecret('../outside', 32)).rejects.toThrow('not a name');
  await dataDir.close();
});

test('closes a folder that was open to others', async () => {
  await (await openDataDir(path)).close();
  await chmod(path, 0o755);
  await (await openDataDir(path)).close();
  expect(await modeOf(path)).toBe(0o700);
});

test('lets nobody in while a process holds it, and names that process', async () => {
  const dataDir = await openDataDir(path);
  await expect(openDataDir(path)).rejects.toThrow(`${path} is in use by process ${process.pid}`);
  await dataDir.close();
  await (await openDataDir(path)).close();
});

/** Opens the folder in a process of its own, and resolves with its pid once it holds it. */
async function holdElsewhere() {
  const script = `
    import { openDataDir } from ${JSON.stringify(join(import.meta.dirname, 'open.ts'))};
    await openDataDir(${JSON.stringify(path)});
    process.stdout.write('held');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

test('a process that was killed holds nothing', async () => {
  const child = await holdElsewhere();
  await expect(openDataDir(path)).rejects.toThrow(`in use by process ${child.pid}`);
  child.kill('SIGKILL');
  await once(child, 'close');
  expect(await readdir(path)).toContain('lock');
  await (await openDataDir(path)).close();
});

test('of ten that find a stale lock at once, one gets the folder', async () => {
  const child = await holdElsewhere();
  child.kill('SIGKILL');
  await once(child, 'close');
  const results = await Promise.allSettled(Array.from({ length: 10 }, () => openDataDir(path)));
  const held = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  expect(held).toHaveLength(1);
  await held[0]?.close();
  expect(await readdir(path)).toEqual([]);
});

test('a lock of an earlier process that had our number, or a broken one, is stale', async () => {
  await (await openDataDir(path)).close();
  for (const lock of [JSON.stringify({ pid: process.pid, started: 'an earlier boot 1' }), '', 'not JSON']) {
    await writeFile(join(path, 'lock'), lock);
    await (await openDataDir(path)).close();
  }
});
