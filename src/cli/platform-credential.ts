/** The credential of the platform that the command runs on, asked for in the server's name. */
import { z } from 'zod';
import { findPlatform } from '../client/find-platform.ts';
import { NoCredential } from '../client/platform.ts';
import { paths } from '../core/discovery.ts';
import { send } from './admin-client.ts';
import type { CliDependencies } from './dependencies.ts';
import { CommandFailure, usageFailure } from './exit.ts';
import { plain } from './paint.ts';
import { readCredential } from './read-credential.ts';
import { readServerUrl } from './server.ts';
import type { PlatformCredential } from './token-request.ts';

interface PlatformCredentialOptions {
  /** A platform's name, or `auto`. */
  readonly platform: string;
  readonly platformAudience?: string;
  readonly verbose?: boolean;
}

/** Where a command gets its credential from: a file, or a platform. */
export interface CredentialOptions {
  /** A path, or `-` for standard input. This or `platform`. */
  readonly credentialFile?: string | undefined;
  readonly platform?: string | undefined;
  readonly platformAudience?: string | undefined;
  readonly verbose?: boolean | undefined;
}

const metadataSchema = z.object({ issuer: z.string() });

/** Throws `CommandFailure` unless exactly one source is named and it gives a credential. */
export async function obtainCredential(
  dependencies: CliDependencies,
  options: CredentialOptions,
): Promise<PlatformCredential> {
  const { credentialFile, platform, platformAudience, verbose } = options;
  if (platform !== undefined && credentialFile === undefined) {
    return platformCredential(dependencies, {
      platform,
      ...(platformAudience === undefined ? {} : { platformAudience }),
      ...(verbose === undefined ? {} : { verbose }),
    });
  }
  if (platform === undefined && credentialFile !== undefined) {
    const credential = await readCredential(dependencies, credentialFile);
    return { credential, subjectTokenType: undefined };
  }
  throw usageFailure('give one of --platform and --credential-file');
}

/** Throws `CommandFailure` where there is no platform, it gives nothing, or the server is not who it says. */
async function platformCredential(
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
