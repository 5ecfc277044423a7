/** Reads a token that the platform keeps in a file for us, such as our own service account's. */
import { open } from 'node:fs/promises';

const maxBytes = 16 * 1024;

/** Refuses what is no JWT: a document that names the wrong file must not send a key or a password to anyone. */
export async function readTokenFile(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(maxBytes + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    const text = buffer.toString('utf8', 0, bytesRead).trim();
    if (bytesRead > maxBytes || !/^eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(text)) {
      throw new Error(`${path} holds no JWT`);
    }
    return text;
  } finally {
    await file.close();
  }
}
