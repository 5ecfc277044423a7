/** What a deployment shows to everybody: readiness, its two discovery documents and its keys, as a resource server reads them. */
import type { JSONWebKeySet } from 'jose';
import { z } from 'zod';
import { paths } from '../../core/discovery.ts';
import { send } from '../admin-client.ts';
import type { CliDependencies } from '../dependencies.ts';
import { CommandFailure } from '../exit.ts';

const metadataSchema = z.looseObject({
  issuer: z.string(),
  token_endpoint: z.string(),
  jwks_uri: z.string(),
});
const keySchema = z.looseObject({
  kty: z.string(),
  kid: z.string().min(1),
  alg: z.string().min(1),
  use: z.literal('sig'),
});
const jwksSchema = z.object({ keys: z.array(keySchema).min(1) });
const readinessSchema = z.looseObject({ status: z.string(), checks: z.record(z.string(), z.string()) });

/** RFC 7518 §6: members that only a private or a symmetric key has. */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
const longestKeysAgeSeconds = 86_400;

/** `degraded` passes: exchanges go on. */
export async function checkReadiness(dependencies: CliDependencies, url: string): Promise<string> {
  const response = await send(dependencies, `${url}/readyz`, { method: 'GET' });
  const readiness = readinessSchema.safeParse(await response.json().catch(() => undefined));
  if (!readiness.success) throw new CommandFailure(`answered ${response.status}, and not as Mintmark does`);
  const { status, checks } = readiness.data;
  const missing = Object.entries(checks).filter(([, outcome]) => outcome !== 'ok');
  const said = [status, ...missing.map(([name, outcome]) => `${name} ${outcome}`)].join(', ');
  if (!response.ok) throw new CommandFailure(said);
  return said;
}

/** Where the keys are. Throws `CommandFailure` where the documents disagree with each other or with the URL. */
export async function readDiscovery(dependencies: CliDependencies, url: string): Promise<string> {
  const [openid, oauth] = await Promise.all([
    readMetadata(dependencies, url, paths.openidConfiguration),
    readMetadata(dependencies, url, paths.authorizationServer),
  ]);
  for (const metadata of [openid, oauth]) {
    // RFC 8414 §3.3: whoever publishes another issuer's name is not that issuer.
    if (metadata.issuer !== url) throw new CommandFailure(`the issuer is ${metadata.issuer}, not ${url}`);
    for (const member of ['token_endpoint', 'jwks_uri'] as const) {
      if (!metadata[member].startsWith(`${url}/`)) {
        throw new CommandFailure(`${member} is not below the issuer: ${metadata[member]}`);
      }
    }
  }
  const differing = Object.keys(oauth).filter(
    (member) => JSON.stringify(oauth[member]) !== JSON.stringify(openid[member]),
  );
  if (differing.length > 0) throw new CommandFailure(`the two documents differ in ${differing.join(', ')}`);
  return openid.jwks_uri;
}

async function readMetadata(dependencies: CliDependencies, url: string, path: string) {
  const response = await send(dependencies, `${url}${path}`, { method: 'GET' });
  const metadata = metadataSchema.safeParse(await response.json().catch(() => undefined));
  if (response.ok && metadata.success) return metadata.data;
  throw new CommandFailure(`${path} answered ${response.status} and is no discovery document`);
}

/** The public keys. Throws `CommandFailure` where a resource server could not use or cache them, or they are not public. */
export async function readKeys(dependencies: CliDependencies, jwksUri: string): Promise<JSONWebKeySet> {
  const response = await send(dependencies, jwksUri, { method: 'GET' });
  const body: unknown = await response.json().catch(() => undefined);
  const parsed = jwksSchema.safeParse(body);
  if (!response.ok || !parsed.success) {
    throw new CommandFailure(`answered ${response.status} and no set of signing keys with kid and alg`);
  }
  const { keys } = parsed.data;
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length)
    throw new CommandFailure('two keys have one kid');
  if (keys.some((key) => privateMembers.some((member) => member in key))) {
    throw new CommandFailure('A PRIVATE KEY IS PUBLISHED: revoke it');
  }
  const cacheControl = response.headers.get('cache-control') ?? '';
  const maxAge = Number(/(?:^|[\s,])max-age=(\d+)/.exec(cacheControl)?.[1]);
  if (!(maxAge >= 1 && maxAge <= longestKeysAgeSeconds) || /no-store|private/.test(cacheControl)) {
    throw new CommandFailure(`cannot be cached for a bounded time: cache-control is "${cacheControl}"`);
  }
  await checkRevalidation(dependencies, jwksUri, response.headers.get('etag'));
  return { keys };
}

/** RFC 9110 §13.1.2: a cache in front of us asks like this. */
async function checkRevalidation(dependencies: CliDependencies, url: string, etag: string | null) {
  if (etag === null) throw new CommandFailure('there is no etag');
  const headers = { 'if-none-match': etag };
  const { status } = await send(dependencies, url, { method: 'GET', headers });
  // 200 where the keys turned in between, or a cache answers for itself.
  if (status !== 304 && status !== 200) throw new CommandFailure(`answered ${status} to its own etag`);
}

/** Seconds by which the server's clock is ahead of ours; the Date header has no fractions (RFC 9110 §6.6.1). */
export async function measureClockSkew(dependencies: CliDependencies, url: string): Promise<number> {
  const before = dependencies.nowMillis();
  const response = await send(dependencies, `${url}/readyz`, { method: 'GET' });
  const after = dependencies.nowMillis();
  await response.body?.cancel();
  const date = Date.parse(response.headers.get('date') ?? '');
  if (Number.isNaN(date)) throw new CommandFailure('the answer has no Date header');
  if (date > after) return (date - after) / 1000;
  if (date + 1000 < before) return (date + 1000 - before) / 1000;
  return 0;
}
