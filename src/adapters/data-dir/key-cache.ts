/** Cached issuer keys as small files of an embedded installation: a file a name, replaced whole. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, KeyCache } from '../../core/ports.ts';
import { isErrno } from './private-file.ts';

/** Creates the folder where it is missing. A file that was cut short by a crash counts as none. */
export async function openFileKeyCache(folder: string, clock: Clock): Promise<KeyCache> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Hashed: a name comes out of a policy document and must not become a path.
  const fileOf = (name: string) => join(folder, createHash('sha256').update(name).digest('hex'));
  return {
    get: async (name) => {
      const text = await readIfThere(fileOf(name));
      const end = text?.indexOf('\n') ?? -1;
      if (text === undefined || end === -1) return undefined;
      return Number(text.slice(0, end)) > clock.now() ? text.slice(end + 1) : undefined;
    },
    put: async (name, value, ttlSeconds) => {
      const file = fileOf(name);
      const temporary = `${file}.${randomUUID()}.tmp`;
      try {
        await writeFile(temporary, `${clock.now() + ttlSeconds * 1000}\n${value}`, {
          mode: 0o600,
          flag: 'wx',
        });
        await rename(temporary, file);
      } catch (error) {
        await unlink(temporary).catch(() => {});
        throw error;
      }
    },
  };
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
