/** `mintmark token`: the reference client in its simplest form, one POST to `/api/v1/token`. */
import { z } from 'zod';
import { paths } from '../../core/discovery.ts';
import { isJsonObject } from '../../core/json.ts';
import { send } from '../admin-client.ts';
import type { CliDependencies } from '../dependencies.ts';
import { CommandFailure, type ExitCode, exitCodes, usageFailure } from '../exit.ts';
import { plain } from '../paint.ts';
import { platformCredential } from '../platform-credential.ts';
import { readServerUrl } from '../server.ts';

export interface TokenOptions {
  readonly audience?: string;
  readonly scope?: string;
  /** A path, or `-` for standard input. This or `platform`. */
  readonly credentialFile?: string;
  /** The name of the platform that this runs on, or `auto`. */
  readonly platform?: string;
  readonly platformAudience?: string;
  readonly verbose?: boolean;
  readonly decode?: boolean;
  readonly json?: boolean;
}

const tokenSchema = z.looseObject({ access_token: z.string() });
const refusalSchema = z.looseObject({
  error: z.string(),
  error_description: z.string().optional(),
  request_id: z.string().optional(),
});

/** Prints the token alone, so that a script can use it. Exit code 1 where it is refused. */
export async function token(dependencies: CliDependencies, options: TokenOptions): Promise<ExitCode> {
  const { out } = dependencies;
  const credential = await credentialOf(dependencies, options);
  const response = await send(dependencies, `${readServerUrl(dependencies)}${paths.agentlessToken}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
    body: JSON.stringify({ audience: options.audience, scope: options.scope }),
  });
  const body: unknown = await response.json().catch(() => undefined);
  const answer = tokenSchema.safeParse(body);
  if (!response.ok || !answer.success) throw refusalOf(response.status, body);

  const accessToken = answer.data.access_token;
  const claims = options.decode ? decodeClaims(accessToken) : undefined;
  if (options.json) out.write(`${JSON.stringify(claims ?? answer.data)}\n`);
  else out.write(`${claims === undefined ? accessToken : JSON.stringify(claims, undefined, 2)}\n`);
  return exitCodes.done;
}

function credentialOf(dependencies: CliDependencies, options: TokenOptions): Promise<string> {
  const { credentialFile, platform } = options;
  if (platform !== undefined && credentialFile === undefined) {
    return platformCredential(dependencies, { ...options, platform });
  }
  if (platform === undefined && credentialFile !== undefined)
    return readCredential(dependencies, credentialFile);
  throw usageFailure('token needs one of --platform and --credential-file');
}

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

/** The server's refusal, with its request id; never the token. */
export function refusalOf(status: number, body: unknown): CommandFailure {
  const refusal = refusalSchema.safeParse(body);
  if (!refusal.success) return new CommandFailure(`the server answered ${status}, and not as Mintmark does`);
  const { error, error_description: description, request_id: requestId } = refusal.data;
  const said = plain(description === undefined ? error : `${error}: ${description}`);
  const hint =
    requestId === undefined ? '' : `\nAn admin can read the whole reason: mintmark why ${plain(requestId)}`;
  return new CommandFailure(`${said}${hint}`, { body: refusal.data });
}

/** The claims, unverified: whoever trusts a token verifies it against the published keys instead. */
function decodeClaims(jwt: string): unknown {
  const [, payload] = jwt.split('.');
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString('utf8'));
    if (isJsonObject(claims)) return claims;
  } catch {
    // falls through: not a JWT
  }
  throw new CommandFailure('the token is not a JWT, so there are no claims to show');
}
