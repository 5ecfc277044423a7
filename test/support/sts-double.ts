/**
 * A stand-in for AWS STS: a real https server that recomputes the SigV4 signature of the request that it received, with
 * the AWS SDK's own signer, and answers GetCallerIdentity only where it is the same.
 */
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Sha256 } from '@aws-crypto/sha256-js';
import { HttpRequest } from '@smithy/protocol-http';
import { SignatureV4 } from '@smithy/signature-v4';
import { openCallPlatform } from '../../src/adapters/net/call-platform.ts';
import type { CallPlatform } from '../../src/core/ports.ts';
import { makeAuthority } from './issuer-double-tls.ts';

export interface AwsCaller {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly arn: string;
  readonly userId: string;
  readonly account: string;
}

export interface StsDouble {
  /** Calls as the product does, at this double's port; nothing else about the call is changed. */
  readonly callPlatform: CallPlatform;
  /** How many requests came. */
  count(): number;
  /** Answers the next requests in place of the truth. */
  answer: { readonly status: number; readonly body: string; readonly location?: string } | undefined;
  format: 'json' | 'xml';
  close(): Promise<void>;
}

/** Starts the double for one host, such as `sts.us-east-1.amazonaws.com`. */
export async function startStsDouble(host: string, region: string, callers: AwsCaller[]): Promise<StsDouble> {
  const authority = await makeAuthority();
  let requests = 0;
  const server = createServer(await authority.issue(host), async (request, response) => {
    requests++;
    const caller = await callerOf(request, host, region, callers);
    const truth = caller
      ? { status: 200, body: identityOf(caller, double.format) }
      : { status: 403, body: '{}' };
    const { status, body, location } = { location: undefined, ...(double.answer ?? truth) };
    response.writeHead(status, location === undefined ? {} : { location });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const call = openCallPlatform({
    extraCaCertificates: [authority.certificate],
    resolve: async (name) => (name === host ? [{ address: '127.0.0.1', family: 4 }] : []),
  });
  const double: StsDouble = {
    callPlatform: (sent) =>
      call({ ...sent, url: sent.url.replace(`//${host}/`, `//${host}:${port}/`), allowPrivateHosts: [host] }),
    count: () => requests,
    answer: undefined,
    format: 'json',
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return double;
}

export interface PresignOptions {
  readonly host: string;
  readonly region: string;
  readonly audience: string;
  readonly atMillis: number;
  readonly expiresIn?: number;
  readonly query?: Record<string, string>;
}

/** A presigned GetCallerIdentity request, made as a workload makes it. */
export async function presign(caller: AwsCaller, options: PresignOptions): Promise<HttpRequest> {
  const { host, region, audience, atMillis, expiresIn = 300, query } = options;
  const signer = new SignatureV4({ credentials: caller, region, service: 'sts', sha256: Sha256 });
  const request = new HttpRequest({
    method: 'GET',
    protocol: 'https:',
    hostname: host,
    path: '/',
    query: { Action: 'GetCallerIdentity', Version: '2011-06-15', ...query },
    headers: { host, 'x-mintmark-audience': audience },
  });
  const signed = await signer.presign(request, { expiresIn, signingDate: new Date(atMillis) });
  return signed as HttpRequest;
}

/** Its URL, its query encoded as RFC 3986 asks. */
export function urlOf({ hostname, query }: HttpRequest): string {
  const pairs = Object.entries(query ?? {}).map(
    ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`,
  );
  return `https://${hostname}/?${pairs.join('&')}`;
}

/** The `subject_token`: URL-encoded JSON. */
export function subjectTokenOf(url: string, headers: Record<string, string>, method = 'GET'): string {
  const list = Object.entries(headers).map(([key, value]) => ({ key, value }));
  return encodeURIComponent(JSON.stringify({ url, method, headers: list }));
}

async function callerOf(
  received: IncomingMessage,
  host: string,
  region: string,
  callers: readonly AwsCaller[],
): Promise<AwsCaller | undefined> {
  const url = new URL(received.url ?? '/', `https://${host}`);
  const query = Object.fromEntries(url.searchParams);
  const caller = callers.find(
    ({ accessKeyId, sessionToken }) =>
      query['X-Amz-Credential']?.startsWith(`${accessKeyId}/`) &&
      query['X-Amz-Security-Token'] === sessionToken,
  );
  const [, year, month, day, hour, minute, second] =
    /^(....)(..)(..)T(..)(..)(..)Z$/.exec(query['X-Amz-Date'] ?? '') ?? [];
  if (caller === undefined || received.method !== 'GET' || query.Action !== 'GetCallerIdentity')
    return undefined;
  const atMillis = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  // Signed again from what came over the wire: the headers that SignedHeaders names, the query without its signature.
  const signedHeaders = query['X-Amz-SignedHeaders']?.split(';') ?? [];
  const headers = Object.fromEntries(signedHeaders.map((name) => [name, String(received.headers[name])]));
  const { Action, Version } = query;
  const signer = new SignatureV4({ credentials: caller, region, service: 'sts', sha256: Sha256 });
  const again = await signer.presign(
    new HttpRequest({
      method: 'GET',
      hostname: host,
      path: url.pathname,
      query: { Action: Action ?? '', Version: Version ?? '' },
      headers,
    }),
    { expiresIn: Number(query['X-Amz-Expires']), signingDate: new Date(atMillis) },
  );
  const expected = again.query ?? {};
  const isSame =
    Object.keys(expected).length === Object.keys(query).length &&
    Object.entries(expected).every(([name, value]) => query[name] === value);
  return isSame ? caller : undefined;
}

function identityOf({ arn, userId, account }: AwsCaller, format: StsDouble['format']): string {
  if (format === 'xml') return identityXml(arn, userId, account);
  return JSON.stringify({
    GetCallerIdentityResponse: {
      GetCallerIdentityResult: { Account: account, Arn: arn, UserId: userId },
      ResponseMetadata: { RequestId: crypto.randomUUID() },
    },
  });
}

/** As STS writes it. */
export function identityXml(arn: string, userId: string, account: string): string {
  return `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult>
    <Arn>${arn}</Arn>
    <UserId>${userId}</UserId>
    <Account>${account}</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata>
    <RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId>
  </ResponseMetadata>
</GetCallerIdentityResponse>`;
}
