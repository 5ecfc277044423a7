/** What `mintmark login` leaves for the other commands: one admin token a server, in the person's own configuration folder. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { Secret } from '../core/secret.ts';
import type { CliDependencies } from './dependencies.ts';
import { usageFailure } from './exit.ts';

type Environment = CliDependencies['environment'];

const loginSchema = z.object({ server: z.string(), access_token: z.string() });

/** Replaces an earlier login; readable by nobody else (0600 in a folder of 0700), and never half written. */
export async function writeLogin(
  environment: Environment,
  serverUrl: string,
  token: Secret<string>,
): Promise<void> {
  const folder = folderOf(environment);
  if (folder === undefined) throw usageFailure('there is no HOME and no XDG_CONFIG_HOME to keep a login in');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, nameOf(serverUrl));
  const temporary = `${file}.${randomUUID()}.tmp`;
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify({ server: serverUrl, access_token: token.reveal() })}\n`);
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}

/** The token that was got from this very server; undefined where there is none. */
export async function readLogin(
  { environment, readTextFile }: Pick<CliDependencies, 'environment' | 'readTextFile'>,
  serverUrl: string,
): Promise<Secret<string> | undefined> {
  const folder = folderOf(environment);
  if (folder === undefined) return undefined;
  const text = await readTextFile(join(folder, nameOf(serverUrl))).catch(() => undefined);
  if (text === undefined) return undefined;
  const login = loginSchema.safeParse(parse(text));
  // A token is not offered to another server, whatever the file is called.
  return login.success && login.data.server === serverUrl ? new Secret(login.data.access_token) : undefined;
}

export async function removeLogin(environment: Environment, serverUrl: string): Promise<void> {
  const folder = folderOf(environment);
  if (folder !== undefined) await rm(join(folder, nameOf(serverUrl)), { force: true });
}

/** The XDG Base Directory Specification, by which a relative path counts as none. */
function folderOf({ XDG_CONFIG_HOME: configHome, HOME: home }: Environment): string | undefined {
  if (configHome && isAbsolute(configHome)) return join(configHome, 'mintmark', 'logins');
  return home && isAbsolute(home) ? join(home, '.config', 'mintmark', 'logins') : undefined;
}

function nameOf(serverUrl: string): string {
  return `${createHash('sha256').update(serverUrl).digest('hex')}.json`;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
