/** The folder of an embedded installation: private, used by one process at a time, holding the secrets made here. */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Secret } from '../../core/secret.ts';
import { lockFolder } from './lock.ts';
import { createDurably, readPrivate } from './private-file.ts';

export interface DataDir {
  readonly path: string;
  /** The secret of that name and length, made at random the first time; kept as base64url text, mode 0600. */
  readOrCreateSecret(name: string, bytes: number): Promise<Secret<Uint8Array>>;
  /** Lets another process in. */
  close(): Promise<void>;
}

/** Creates the folder where it is missing. Rejects where another process that is alive holds it, naming that process. */
export async function openDataDir(folder: string): Promise<DataDir> {
  const path = resolve(folder);
  await mkdir(path, { recursive: true, mode: 0o700 });
  await makePrivate(path);
  const lock = await lockFolder(path);
  return {
    path,
    readOrCreateSecret: async (name, bytes) => {
      if (!/^[a-z0-9][a-z0-9.-]*$/.test(name)) throw new Error(`${name} is not a name for a secret`);
      const file = join(path, name);
      const text =
        (await readPrivate(file)) ?? (await createDurably(file, randomBytes(bytes).toString('base64url')));
      const secret = Buffer.from(text, 'base64url');
      if (secret.length !== bytes) throw new Error(`${file} does not hold ${bytes} bytes: restore it`);
      return new Secret<Uint8Array>(new Uint8Array(secret));
    },
    close: lock.release,
  };
}

async function makePrivate(path: string): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & 0o077) === 0) return;
  // Not ours to change on some mounted volumes; then the files' own modes, and this check, have to do.
  await chmod(path, 0o700).catch(() => {});
  if (((await stat(path)).mode & 0o007) !== 0) {
    throw new Error(`${path} is open to every user of this machine: chmod 700 ${path}`);
  }
}
