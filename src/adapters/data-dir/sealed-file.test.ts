import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../core/secret.ts';
import { sealedFile } from './sealed-file.ts';

const key = new Secret(new Uint8Array(32).fill(7));
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mintmark-sealed-'));
  path = join(folder, 'file');
  return () => rmSync(folder, { recursive: true });
});

describe('a sealed file', () => {
  it('gives back what was written last, in many parts or none, and only its owner may read it', async () => {
    const file = sealedFile(path, key, 'test');
    expect(await file.read()).toBeUndefined();
    await file.write([]);
    expect(await file.read()).toBe('');
    const parts = Array.from({ length: 5_000 }, (_, index) => `${index} ünï\n`);
    await file.write(parts);
    expect(await file.read()).toBe(parts.join(''));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it.each([
    ['one letter changed', (text: string) => text.replace('keys', 'kegs')],
    ['cut short', (text: string) => text.slice(0, -1)],
    ['without its seal', (text: string) => text.slice(0, text.lastIndexOf('\n'))],
    ['lengthened', (text: string) => `more\n${text}`],
    ['emptied', () => ''],
  ])('%s is refused', async (_what, change) => {
    const file = sealedFile(path, key, 'test');
    await file.write(['keys: ', 'public']);
    expect(await file.read()).toBe('keys: public');
    writeFileSync(path, change(readFileSync(path, 'utf8')));
    await expect(file.read()).rejects.toThrow('is not as this installation wrote it');
  });

  it('of another purpose, or another installation, is refused', async () => {
    await sealedFile(path, key, 'policy').write(['x']);
    await expect(sealedFile(path, key, 'keys').read()).rejects.toThrow('is not as this installation');
    const other = new Secret(new Uint8Array(32).fill(8));
    await expect(sealedFile(path, other, 'policy').read()).rejects.toThrow('is not as this installation');
    expect(await sealedFile(path, key, 'policy').read()).toBe('x');
  });

  it('is read under the previous key too, and written under the new one', async () => {
    const next = new Secret(new Uint8Array(32).fill(9));
    await sealedFile(path, key, 'policy').write(['old']);
    const both = sealedFile(path, next, 'policy', key);
    expect(await both.read()).toBe('old');
    await expect(sealedFile(path, next, 'keys', key).read()).rejects.toThrow('is not as this installation');
    await both.write(['new']);
    expect(await sealedFile(path, next, 'policy').read()).toBe('new');
    await expect(sealedFile(path, key, 'policy').read()).rejects.toThrow('is not as this installation');
  });
});
