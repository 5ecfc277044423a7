/** The credential of the platform that the command runs on, asked for in the server's name. */
import { z } from 'zod';
import { findPlatform } from '../client/find-platform.ts';
import { NoCredential } from '../client/platform.ts';
import { paths } from '../core/discovery.ts';
import { send } from './admin-client.ts';
import type { CliDependencies } from './dependencies.ts';
import { CommandFailure } from './exit.ts';
import { plain } from './paint.ts';
import { readServerUrl } from './server.ts';

export interface PlatformCredentialOptions {
  /** A platform's name, or `auto`. */
  readonly platform: string;
  readonly platformAudience?: string;
  readonly verbose?: boolean;
}

export interface PlatformCredential {
  readonly credential: string;
  /** Where only a token exchange takes it. */
  readonly subjectTokenType: string | undefined;
}

const metadataSchema = z.object({ issuer: z.string() });

/** Throws `CommandFailure` where there is no platform, it gives nothing, or the server is not who it says. */
export async function platformCredential(
  dependencies: CliDependencies,
  { platform: name, platformAudience, verbose }: PlatformCredentialOptions,
): Promise<PlatformCredential> {
  try {
    const platform = await findPlatform(dependencies, name);
    if (verbose) {
      const why = name === 'auto' ? `found ${platform.looksFor}` : 'named on the command line';
      dependencies.err.write(`mintmark: platform ${platform.platform}: ${why}\n`);
    }
    const audience = platformAudience ?? (await discoverIssuer(dependencies));
    const credential = await platform.obtain(dependencies, audience);
    return { credential, subjectTokenType: platform.subjectTokenType };
  } catch (error) {
    if (error instanceof NoCredential) throw new CommandFailure(error.message);
    throw error;
  }
}

/** RFC 8414 §3.3: a document that names another issuer than the URL it came from is not used. */
export async function discoverIssuer(dependencies: CliDependencies): Promise<string> {
  const url = readServerUrl(dependencies);
  const response = await send(dependencies, `${url}${paths.openidConfiguration}`, { method: 'GET' });
  const metadata = metadataSchema.safeParse(await response.json().catch(() => undefined));
  if (!response.ok || !metadata.success) {
    throw new CommandFailure(`${url} publishes no issuer: check MINTMARK_URL`);
  }
  const { issuer } = metadata.data;
  if (issuer !== url) {
    throw new CommandFailure(
      `${url} says that its issuer is ${plain(issuer)}: set MINTMARK_URL to the issuer, so that no other server is given a credential for it`,
    );
  }
  return issuer;
}
