import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readTokenFile } from './read.ts';

const folder = mkdtempSync(join(tmpdir(), 'mintmark-token-'));
const path = join(folder, 'token');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a token file', () => {
  it('is read anew each time', async () => {
    for (const text of ['eyJh.eyJi.c2ln', 'eyJh.eyJi.bmV3']) {
      writeFileSync(path, `${text}\n`);
      await expect(readTokenFile(path)).resolves.toBe(text);
    }
  });

  it.each([
    ['a password', 'canary-secret'],
    ['nothing', ''],
    ['two parts', 'eyJh.eyJi'],
    ['two tokens', 'eyJh.eyJi.c2ln\neyJh.eyJi.c2ln'],
    ['a key', '-----BEGIN PRIVATE KEY-----\ncanary-secret\n'],
    ['too much', `eyJh.eyJi.${'a'.repeat(17_000)}`],
  ])('that holds %s is refused without its text', async (_name, text) => {
    writeFileSync(path, text);
    const refusal = await readTokenFile(path).catch((error: unknown) => String(error));
    expect(refusal).toBe(`Error: ${path} holds no JWT`);
  });

  it('that is missing, or a folder, is refused', async () => {
    await expect(readTokenFile(join(folder, 'none'))).rejects.toThrow(/ENOENT/);
    await expect(readTokenFile(folder)).rejects.toThrow(/EISDIR/);
  });
});
