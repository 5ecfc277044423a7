/** Which server the commands talk to, and with which admin token. */
import { join } from 'node:path';
import { Secret } from '../core/secret.ts';
import type { CliDependencies } from './dependencies.ts';
import { CommandFailure, usageFailure } from './exit.ts';
import { readLogin } from './login-store.ts';

const defaultUrl = 'http://127.0.0.1:8080';

/** The server's URL without a trailing slash. Tokens travel to it, so it is https unless it is on this machine. */
export function readServerUrl({ environment }: CliDependencies): string {
  const text = environment.MINTMARK_URL || defaultUrl;
  if (!URL.canParse(text)) throw usageFailure(`MINTMARK_URL is not a URL: ${text}`);
  const url = new URL(text);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url))) {
    throw usageFailure('MINTMARK_URL must be https, since a token is sent to it (http only on loopback)');
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw usageFailure('MINTMARK_URL must have no user, query or fragment');
  }
  return url.href.replace(/\/+$/, '');
}

/** From `MINTMARK_TOKEN`, its `_FILE`, an earlier `mintmark login`, or the file that an embedded server on this machine leaves in its data folder. */
export async function readAdminToken(
  dependencies: CliDependencies,
  serverUrl: string,
): Promise<Secret<string>> {
  const { environment, readTextFile } = dependencies;
  const { MINTMARK_TOKEN: token, MINTMARK_TOKEN_FILE: path } = environment;
  if (token && path) throw usageFailure('MINTMARK_TOKEN and MINTMARK_TOKEN_FILE are both set: keep one');
  if (token) return new Secret(token.trim());
  if (path) {
    const text = await readTextFile(path).catch(() => {
      throw usageFailure(`MINTMARK_TOKEN_FILE cannot be read: ${path}`);
    });
    return new Secret(text.trim());
  }
  const login = await readLogin(dependencies, serverUrl);
  if (login !== undefined) return login;
  // The embedded server's token is nobody else's business: it is not offered to another machine.
  if (isLoopback(new URL(serverUrl))) {
    const embedded = join(environment.MINTMARK_DATA_DIR || '.mintmark', 'admin-token');
    const text = await readTextFile(embedded).catch(() => undefined);
    if (text) return new Secret(text.trim());
  }
  throw new CommandFailure(
    'There is no admin token: set MINTMARK_TOKEN or MINTMARK_TOKEN_FILE, sign in with mintmark login, or run this where the embedded server keeps its data (MINTMARK_DATA_DIR).',
    { exitCode: 2 },
  );
}

export function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}
