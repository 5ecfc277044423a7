/** `mintmark token`: the reference client in its simplest form, one POST to `/api/v1/token`, or to the token endpoint. */
import { z } from 'zod';
import { grantTypes, paths } from '../../core/discovery.ts';
import { isJsonObject } from '../../core/json.ts';
import { send } from '../admin-client.ts';
import type { CliDependencies } from '../dependencies.ts';
import { CommandFailure, type ExitCode, exitCodes, usageFailure } from '../exit.ts';
import { type PlatformCredential, platformCredential } from '../platform-credential.ts';
import { readCredential } from '../read-credential.ts';
import { readServerUrl } from '../server.ts';
import { refusalOf } from '../token-refusal.ts';

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

/** Prints the token alone, so that a script can use it. Exit code 1 where it is refused. */
export async function token(dependencies: CliDependencies, options: TokenOptions): Promise<ExitCode> {
  const { out } = dependencies;
  const { path, ...request } = requestOf(await credentialOf(dependencies, options), options);
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

function requestOf({ credential, subjectTokenType }: PlatformCredential, options: TokenOptions) {
  const { audience, scope } = options;
  if (subjectTokenType === undefined) {
    return {
      path: paths.agentlessToken,
      headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
      body: JSON.stringify({ audience, scope }),
    };
  }
  const form = new URLSearchParams({
    grant_type: grantTypes.tokenExchange, // RFC 8693 §2.1
    subject_token_type: subjectTokenType,
    subject_token: credential,
    ...(audience === undefined ? {} : { audience }),
    ...(scope === undefined ? {} : { scope }),
  });
  return {
    path: paths.token,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: form.toString(),
  };
}

async function credentialOf(
  dependencies: CliDependencies,
  options: TokenOptions,
): Promise<PlatformCredential> {
  const { credentialFile, platform } = options;
  if (platform !== undefined && credentialFile === undefined) {
    return platformCredential(dependencies, { ...options, platform });
  }
  if (platform === undefined && credentialFile !== undefined) {
    const credential = await readCredential(dependencies, credentialFile);
    return { credential, subjectTokenType: undefined };
  }
  throw usageFailure('token needs one of --platform and --credential-file');
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
