/** `mintmark token`: the reference client in its simplest form, one POST to `/api/v1/token`, or to the token endpoint. */
import { z } from 'zod';
import { isJsonObject } from '../../core/json.ts';
import { send } from '../admin-client.ts';
import type { CliDependencies } from '../dependencies.ts';
import { CommandFailure, type ExitCode, exitCodes } from '../exit.ts';
import { type CredentialOptions, obtainCredential } from '../platform-credential.ts';
import { readServerUrl } from '../server.ts';
import { refusalOf } from '../token-refusal.ts';
import { tokenRequest } from '../token-request.ts';

export interface TokenOptions extends CredentialOptions {
  readonly audience?: string;
  readonly scope?: string;
  readonly decode?: boolean;
  readonly json?: boolean;
}

const tokenSchema = z.looseObject({ access_token: z.string() });

/** Prints the token alone, so that a script can use it. Exit code 1 where it is refused. */
export async function token(dependencies: CliDependencies, options: TokenOptions): Promise<ExitCode> {
  const { out } = dependencies;
  const { path, ...request } = tokenRequest(await obtainCredential(dependencies, options), options);
  const response = await send(dependencies, `${readServerUrl(dependencies)}${path}`, {
    method: 'POST',
    ...request,
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
