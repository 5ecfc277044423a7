/** A credential as a command is given it: one token in a file, or on standard input. */
import type { CliDependencies } from './dependencies.ts';
import { usageFailure } from './exit.ts';

/** `-` is standard input. Throws `CommandFailure` where it holds anything but one token. */
export async function readCredential(dependencies: CliDependencies, path: string): Promise<string> {
  const read = path === '-' ? dependencies.readStandardInput() : dependencies.readTextFile(path);
  const text = await read.catch(() => {
    throw usageFailure(`the credential cannot be read: ${path}`);
  });
  const credential = text.trim();
  if (!/^[\x21-\x7e]+$/.test(credential)) {
    throw usageFailure(
      `${path === '-' ? 'standard input' : path} holds no credential: it must be one token, and nothing else`,
    );
  }
  return credential;
}
