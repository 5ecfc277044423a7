/** The only way out over HTTP: one GET, checked before it is sent, pinned to the address that was checked, bounded. */
import { lookup as resolveByDns } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import { getCACertificates } from 'node:tls';
import { type buildConnector, Client, type Dispatcher } from 'undici';
import type { FetchDocument, FetchedDocument, FetchOptions } from '../../core/ports.ts';
import { isLoopbackAddress, reachOf } from './addresses.ts';
import { authenticatedAs } from './spiffe-server.ts';

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

export interface FetchDocumentOptions {
  /** Certificate authorities (PEM) to trust besides the system's. */
  readonly extraCaCertificates?: readonly string[];
  /** Resolves a host name; the system's resolver by default. */
  readonly resolve?: (hostname: string) => Promise<readonly ResolvedAddress[]>;
  readonly connectTimeoutMillis?: number;
  /** For the whole of it: name, connection, answer. */
  readonly totalTimeoutMillis?: number;
}

const maxBytes = 1024 * 1024;

/**
 * Opens the port. A fetch throws an Error that names the host and what was refused, never the body. Nothing is kept
 * between fetches: a connection that one document allows must not serve another.
 */
export function openFetchDocument(options: FetchDocumentOptions = {}): FetchDocument {
  const { resolve = resolveAll, connectTimeoutMillis = 3000, totalTimeoutMillis = 5000 } = options;
  const certificates = [...getCACertificates('default'), ...(options.extraCaCertificates ?? [])];

  return async (address, fetchOptions = {}) => {
    const url = readUrl(address);
    const { spiffeServer } = fetchOptions;
    if (spiffeServer !== undefined && url.protocol !== 'https:')
      throw new Error(`${url.host}: https is required`);
    const signal = AbortSignal.timeout(totalTimeoutMillis);
    const addresses = await beforeAbort(checkedAddresses(url, fetchOptions, resolve), signal);
    const tls = spiffeServer === undefined ? { ca: certificates } : authenticatedAs(spiffeServer);
    const client = openPinnedClient(url, addresses, tls, { connectTimeoutMillis, totalTimeoutMillis });
    try {
      return await readAnswer(await get(client, url, fetchOptions, signal));
    } catch (cause) {
      throw new Error(`GET from ${url.host}: ${messageOf(cause)}`, { cause });
    } finally {
      client.destroy().catch(() => undefined);
    }
  };
}

/** A connection to the addresses that were checked and no others, bounded in every wait; destroy it after use. */
export function openPinnedClient(
  url: URL,
  addresses: readonly ResolvedAddress[],
  tls: buildConnector.BuildOptions,
  limits: { readonly connectTimeoutMillis: number; readonly totalTimeoutMillis: number },
): Client {
  return new Client(url.origin, {
    connect: {
      ...tls,
      lookup: pinnedTo(addresses),
      timeout: limits.connectTimeoutMillis,
      rejectUnauthorized: true, // whatever NODE_TLS_REJECT_UNAUTHORIZED says
      maxCachedSessions: 0,
    },
    headersTimeout: limits.totalTimeoutMillis,
    bodyTimeout: limits.totalTimeoutMillis,
    maxHeaderSize: 16 * 1024,
  });
}

export function readUrl(address: string): URL {
  if (!URL.canParse(address)) throw new Error('not an absolute URL');
  const url = new URL(address);
  if (url.username !== '' || url.password !== '')
    throw new Error(`${url.host}: user information in a URL is refused`);
  if (url.protocol === 'https:') return url;
  if (url.protocol === 'http:' && isLoopbackHost(hostOf(url))) return url;
  throw new Error(`${url.host}: https is required`);
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || isLoopbackAddress(host);
}

/** All addresses of the host, each within reach: one bad address among good ones refuses them all. */
export async function checkedAddresses(
  url: URL,
  { allowPrivateHosts = [] }: FetchOptions,
  resolve: NonNullable<FetchDocumentOptions['resolve']>,
): Promise<readonly ResolvedAddress[]> {
  const host = hostOf(url);
  const mayBePrivate = allowPrivateHosts.some(
    (allowed) => allowed.toLowerCase().replace(/^\[|\]$/g, '') === host,
  );
  const addresses = await resolve(host);
  if (addresses.length === 0) throw new Error(`${url.host}: the name has no address`);
  for (const { address } of addresses) {
    const reach = reachOf(address);
    if (reach === 'never') throw new Error(`${url.host}: its address ${address} is refused`);
    if (reach === 'private' && !mayBePrivate) {
      throw new Error(`${url.host}: its address ${address} is private, and no document allows that host`);
    }
    if (url.protocol === 'http:' && !isLoopbackAddress(address))
      throw new Error(`${url.host}: https is required`);
  }
  return addresses;
}

export async function resolveAll(hostname: string): Promise<readonly ResolvedAddress[]> {
  return await resolveByDns(hostname, { all: true });
}

/** Answers the connection's own look-up with the addresses that were checked, so that a second answer changes nothing. */
function pinnedTo(addresses: readonly ResolvedAddress[]): LookupFunction {
  return (_hostname, { all }, callback) => {
    const [first] = addresses;
    if (all === true) callback(null, [...addresses]);
    else if (first !== undefined) callback(null, first.address, first.family);
  };
}

function get(
  client: Client,
  url: URL,
  { accept = 'application/json' }: FetchOptions,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  return client.request({
    method: 'GET',
    path: `${url.pathname}${url.search}`,
    headers: { accept, 'accept-encoding': 'identity', 'user-agent': 'mintmark' },
    signal,
  });
}

async function readAnswer({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<FetchedDocument> {
  if (statusCode >= 300 && statusCode < 400)
    throw new Error(`redirects are not followed (status ${statusCode})`);
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') throw new Error('an encoded body is refused');
  if (Number(headers['content-length'] ?? 0) > maxBytes)
    throw new Error(`the body is larger than ${maxBytes} bytes`);
  const maxAgeSeconds = readMaxAge(headers['cache-control']);
  return {
    status: statusCode,
    body: await readText(body),
    ...(maxAgeSeconds === undefined ? {} : { maxAgeSeconds }),
  };
}

export async function readText(body: AsyncIterable<Uint8Array>, limitBytes = maxBytes): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    // Counted as it arrives: Content-Length is only a claim.
    if (size > limitBytes) throw new Error(`the body is larger than ${limitBytes} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(text);
  } catch {
    throw new Error('the body is not text in UTF-8');
  }
}

function readMaxAge(cacheControl: string | string[] | undefined): number | undefined {
  const directives = [cacheControl ?? []].flat().join(',').toLowerCase();
  if (/(^|[\s,])no-(store|cache)([\s,]|$)/.test(directives)) return 0;
  const seconds = /(?:^|[\s,])max-age="?(\d{1,10})/.exec(directives)?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}

export function beforeAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  signal.addEventListener('abort', () => aborted.reject(signal.reason), { once: true });
  return Promise.race([work, aborted.promise]);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'failed';
}
