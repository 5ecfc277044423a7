/** `mintmark login` and `mintmark logout`: a person becomes an admin through the company's OpenID provider. */
import { spawn } from 'node:child_process';
import { z } from 'zod';
import { paths } from '../../core/discovery.ts';
import { adminAudience } from '../../core/policy/admin-resource.ts';
import { Secret } from '../../core/secret.ts';
import { send } from '../admin-client.ts';
import type { CliDependencies } from '../dependencies.ts';
import { type ExitCode, exitCodes } from '../exit.ts';
import { readLogin, removeLogin, writeLogin } from '../login-store.ts';
import { plain, plainJson } from '../paint.ts';
import { discoverIssuer } from '../platform-credential.ts';
import { readServerUrl } from '../server.ts';
import { signIn } from '../sign-in.ts';
import { refusalOf } from '../token-refusal.ts';

export interface LoginOptions {
  readonly provider: string;
  readonly clientId: string;
  readonly scope?: string;
  readonly json?: boolean;
}

const answerSchema = z.object({
  access_token: z.string(),
  expires_in: z.int(),
  scope: z.string().default(''),
});

/** Signs in, has the ID token exchanged for an admin token, and keeps that for the other commands. */
export async function login(dependencies: CliDependencies, options: LoginOptions): Promise<ExitCode> {
  const { environment, out, err } = dependencies;
  const serverUrl = readServerUrl(dependencies);
  const audience = adminAudience(await discoverIssuer(dependencies));
  const idToken = await signIn(dependencies, {
    ...options,
    show: (url) => {
      err.write(`Sign in here: ${plain(url)}\n`);
      openBrowser(environment, url);
    },
  });
  const response = await send(dependencies, `${serverUrl}${paths.agentlessToken}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${idToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ audience, scope: options.scope }),
  });
  const body: unknown = await response.json().catch(() => undefined);
  const answer = answerSchema.safeParse(body);
  if (!response.ok || !answer.success) throw refusalOf(response.status, body);
  const { access_token: token, expires_in: lifetimeSeconds, scope } = answer.data;
  await writeLogin(environment, serverUrl, new Secret(token));
  if (options.json) {
    out.write(`${plainJson({ server: serverUrl, scope, expires_in: lifetimeSeconds })}\n`);
    return exitCodes.done;
  }
  out.write(
    scope === ''
      ? `signed in to ${serverUrl}, but with no scope: name some with --scope, or give the grant defaultScopes\n`
      : `signed in to ${serverUrl} for ${lifetimeSeconds} seconds: ${plain(scope)}\n`,
  );
  return exitCodes.done;
}

/** Forgets the token. It cannot be taken back: it ends by itself, minutes after it was made. */
export async function logout(
  dependencies: CliDependencies,
  { json }: { readonly json?: boolean },
): Promise<ExitCode> {
  const { environment, out } = dependencies;
  const serverUrl = readServerUrl(dependencies);
  const wasSignedIn = (await readLogin(dependencies, serverUrl)) !== undefined;
  await removeLogin(environment, serverUrl);
  if (json) out.write(`${plainJson({ server: serverUrl, was_signed_in: wasSignedIn })}\n`);
  else out.write(wasSignedIn ? `signed out of ${serverUrl}\n` : `there was no login to ${serverUrl}\n`);
  return exitCodes.done;
}

/** Only where there is a desktop; the address is printed anyhow, so a browser that does not start is no failure. */
function openBrowser(
  { DISPLAY: x11, WAYLAND_DISPLAY: wayland }: CliDependencies['environment'],
  url: string,
) {
  if (!x11 && !wayland) return;
  const browser = spawn('xdg-open', [url], { detached: true, stdio: 'ignore' });
  browser.on('error', () => {});
  browser.unref();
}
