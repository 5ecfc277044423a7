/** Small files that hold secrets: never readable by others, never half written. */
import { randomUUID } from 'node:crypto';
import { link, open, readFile, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

/** The text of the file without its final newline, or undefined where there is none. Rejects where others may read it. */
export async function readPrivate(file: string): Promise<string | undefined> {
  try {
    const { mode } = await stat(file);
    if ((mode & 0o007) !== 0)
      throw new Error(`${file} is open to every user of this machine: chmod 600 ${file}`);
    return (await readFile(file, 'utf8')).trimEnd();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Writes the file unless there is one already, on disk before this resolves. Returns the text that the file now has. */
export async function createDurably(file: string, text: string): Promise<string> {
  const temporary = `${file}.${randomUUID()}.tmp`;
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(`${text}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    // Unlike a rename, a link never replaces: a secret that another writer made first stays.
    await link(temporary, file);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  } finally {
    await unlink(temporary);
  }
  await syncFolder(dirname(file));
  return (await readPrivate(file)) ?? text;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
