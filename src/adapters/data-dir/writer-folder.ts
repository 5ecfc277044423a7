/** A folder that one process writes to, beside those of others on the same data folder. */
import { mkdir, readdir, rename } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { FolderInUse, lockFolder } from './lock.ts';

export interface WriterFolder {
  readonly path: string;
  /** Lets another process have it. */
  release(): Promise<void>;
}

const maxWriters = 64;

/**
 * Claims the first folder under `parent` that no living process holds, and moves into it the files that dead processes
 * left in theirs. Rejects where all are held, or the folder cannot be written to.
 */
export async function claimWriterFolder(parent: string): Promise<WriterFolder> {
  const root = resolve(parent);
  await mkdir(root, { recursive: true, mode: 0o700 });
  for (let number = 1; number <= maxWriters; number += 1) {
    const path = join(root, `writer-${number}`);
    await mkdir(path, { recursive: true, mode: 0o700 });
    const release = await tryLock(path);
    if (release === undefined) continue;
    await takeOverOthers(root, path);
    return { path, release };
  }
  throw new Error(`${root} has ${maxWriters} writers already`);
}

async function takeOverOthers(root: string, own: string): Promise<void> {
  for (const name of (await readdir(root)).filter((entry) => entry.startsWith('writer-'))) {
    const folder = join(root, name);
    const files = folder === own ? [] : (await readdir(folder)).filter((file) => file.endsWith('.ndjson'));
    if (files.length === 0) continue;
    const release = await tryLock(folder);
    if (release === undefined) continue;
    try {
      for (const file of files) await rename(join(folder, file), join(own, file));
    } finally {
      await release();
    }
  }
}

async function tryLock(folder: string): Promise<(() => Promise<void>) | undefined> {
  try {
    return (await lockFolder(folder)).release;
  } catch (error) {
    if (error instanceof FolderInUse) return undefined;
    throw error;
  }
}
