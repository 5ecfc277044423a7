/** `mintmark init`: writes a first policy for a platform, then validates and tests what it wrote. */

import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import type { Json } from '../../core/json.ts';
import type { Platform } from '../../core/platform.ts';
import { suggest } from '../../core/policy/nearest-word.ts';
import { type PolicyFilesOptions, policyContext } from '../compile-policy-files.ts';
import type { CliDependencies } from '../dependencies.ts';
import { CommandFailure, type ExitCode, exitCodes, usageFailure } from '../exit.ts';
import { exampleOf, exampleOfToken } from '../init/example.ts';
import { firstPolicy } from '../init/first-policy.ts';
import { policyText } from '../init/write-policy.ts';
import { readCredential } from '../read-credential.ts';

export interface InitOptions {
  readonly platform: string;
  readonly file: string;
  /** A path of a sample token, or `-`. */
  readonly token?: string;
  readonly name?: string;
  readonly audience: string;
  readonly scope: string;
  readonly issuer?: string;
  readonly trustDomain?: string;
  /** A JWK set, for platforms whose keys a document must hold. */
  readonly jwks?: string;
  /** `region=FILE`, for platforms that certificates vouch for. */
  readonly regionCertificate?: string;
}

/** Never overwrites. `checks` are run on the file that it wrote, until one ends with another code than 0. */
export async function init(
  dependencies: CliDependencies,
  options: InitOptions,
  checks: readonly ((files: PolicyFilesOptions) => Promise<ExitCode>)[],
): Promise<ExitCode> {
  const { out, platforms } = dependencies;
  const names = platforms.map(({ name }) => name);
  const platform = platforms.find(({ name }) => name === options.platform);
  if (platform === undefined) {
    throw usageFailure(`there is no platform ${options.platform}: ${suggest(options.platform, names)}`);
  }
  const context = policyContext(dependencies, options);
  const vectors = await dependencies.readPlatformVectors(platform.name);
  const example = exampleOf(platform.name, platform.proof?.issuerUrl, vectors);
  const token = options.token === undefined ? undefined : await readCredential(dependencies, options.token);
  const given = token === undefined ? example : exampleOfToken(token, example);
  const audiences = [given.claims.aud].flat();
  if (token !== undefined && given.audiences === undefined && !audiences.includes(context.issuer)) {
    dependencies.err.write(
      `warning: the sample is not for ${context.issuer}: workloads must ask for one that is\n`,
    );
  }
  const policy = firstPolicy({
    platform,
    example: given,
    name: options.name ?? platform.name,
    audience: options.audience,
    scope: options.scope,
    keys: await keysOf(dependencies, platform, options),
    context,
    suppose: dependencies.createSuppose(context),
    nowMillis: dependencies.nowMillis(),
  });
  const source =
    token === undefined ? 'an example: put your own in' : 'a sample token, unverified: look at each';
  await writeNew(options.file, policyText(policy, { path: options.file, source }));
  out.write(`wrote ${options.file}\n`);
  for (const check of checks) {
    const exitCode = await check({ ...options, file: [options.file] });
    if (exitCode !== exitCodes.done) return exitCode;
  }
  return exitCodes.done;
}

async function keysOf(
  { readTextFile }: CliDependencies,
  platform: Platform,
  { jwks, regionCertificate }: InitOptions,
): Promise<Json | undefined> {
  const read = (path: string) =>
    readTextFile(path).catch(() => {
      throw usageFailure(`the file cannot be read: ${path}`);
    });
  if (platform.hasUploadedKeys) {
    return { jwks: jwks === undefined ? throwawayKeys() : parseJson(await read(jwks), jwks) };
  }
  if (platform.proof?.regionCertificates === undefined) return undefined;
  const [, region, path] = /^([^=]+)=(.+)$/.exec(regionCertificate ?? '') ?? [];
  if (region === undefined || path === undefined) {
    throw usageFailure(
      `${platform.name} needs --region-certificate region=FILE, the certificate that AWS publishes`,
    );
  }
  return { regionCertificates: { [region]: await read(path) } };
}

/** Keys whose private half is forgotten at once: the policy is whole, and nobody can use it before it holds real ones. */
function throwawayKeys(): Json {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = publicKey.export({ format: 'jwk' });
  return {
    keys: [{ kty: 'EC', crv: 'P-256', x: jwk.x ?? '', y: jwk.y ?? '', kid: 'replace-me', use: 'sig' }],
  };
}

function parseJson(text: string, path: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    throw usageFailure(`${path} is not JSON`);
  }
}

async function writeNew(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { flag: 'wx' });
  } catch (error) {
    const isThere = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    throw isThere
      ? new CommandFailure(`${path} is there already: nothing was written`)
      : usageFailure(`${path} cannot be written`);
  }
}
