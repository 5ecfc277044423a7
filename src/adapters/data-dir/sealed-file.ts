/** A file that only this installation can have written: its last line is an HMAC over all that stands before it. */
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import { open, readFile, rename, unlink } from 'node:fs/promises';
import { deriveKey } from '../../core/sealed-token.ts';
import type { Secret } from '../../core/secret.ts';
import { isErrno } from './private-file.ts';

export interface SealedFile {
  /** Replaces the file whole, on disk before this resolves. Written part by part, so that a long one stalls nobody. */
  write(parts: Iterable<string>): Promise<void>;
  /** What was written last; undefined where there is no file. Rejects where it is not as we wrote it. */
  read(): Promise<string | undefined>;
}

const sealBytes = 32;

/**
 * `purpose` keeps the files of one installation apart: none can be put in the place of another. What was sealed under
 * the previous key-encryption key, where there is one, is read too.
 */
export function sealedFile(
  path: string,
  keyEncryptionKey: Secret<Uint8Array>,
  purpose: string,
  previous?: Secret<Uint8Array>,
): SealedFile {
  const key = sealKeyOf(keyEncryptionKey, purpose);
  const readKeys = previous === undefined ? [key] : [key, sealKeyOf(previous, purpose)];
  return {
    write: async (parts) => {
      const temporary = `${path}.${randomUUID()}.tmp`;
      const seal = createHmac('sha256', key);
      const handle = await open(temporary, 'wx', 0o600);
      try {
        for (const chunk of chunksOf(parts)) {
          seal.update(chunk);
          await handle.appendFile(chunk);
        }
        await handle.appendFile(`\n${seal.digest('base64url')}`);
        await handle.sync();
        await rename(temporary, path);
      } catch (error) {
        await unlink(temporary).catch(() => {});
        throw error;
      } finally {
        await handle.close();
      }
    },
    read: async () => {
      const text = await readIfThere(path);
      if (text === undefined) return undefined;
      const end = text.lastIndexOf('\n');
      const body = text.slice(0, Math.max(end, 0));
      const found = Buffer.from(text.slice(end + 1), 'base64url');
      const isSealedUnder = (readKey: Uint8Array) =>
        found.length === sealBytes &&
        timingSafeEqual(found, createHmac('sha256', readKey).update(body).digest());
      if (!readKeys.some(isSealedUnder)) {
        throw new Error(`${path} is not as this installation wrote it`);
      }
      return body;
    },
  };
}

function sealKeyOf(keyEncryptionKey: Secret<Uint8Array>, purpose: string): Uint8Array {
  return deriveKey(keyEncryptionKey.reveal(), `mintmark sealed file ${purpose}`);
}

const chunkLength = 64 * 1024;

function* chunksOf(parts: Iterable<string>): Iterable<string> {
  let chunk = '';
  for (const part of parts) {
    chunk += part;
    if (chunk.length < chunkLength) continue;
    yield chunk;
    chunk = '';
  }
  yield chunk;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
