/** The calls that ask a platform who is calling: under the rules of `fetch-document.ts`, smaller, and only so many at a time. */
import { getCACertificates } from 'node:tls';
import type { CallPlatform, PlatformCall } from '../../core/ports.ts';
import {
  beforeAbort,
  checkedAddresses,
  type FetchDocumentOptions,
  messageOf,
  openPinnedClient,
  readText,
  readUrl,
  resolveAll,
} from './fetch-document.ts';

export interface CallPlatformOptions extends FetchDocumentOptions {
  /** Calls under way at once; one more is refused, so that a flood of credentials is not one of outbound calls. */
  readonly maxConcurrentCalls?: number;
}

const maxAnswerBytes = 64 * 1024;

/** Opens the port. No connection is kept: what one call may reach must not serve another. */
export function openCallPlatform(options: CallPlatformOptions = {}): CallPlatform {
  const { resolve = resolveAll, connectTimeoutMillis = 3000, totalTimeoutMillis = 5000 } = options;
  const { maxConcurrentCalls = 64 } = options;
  const certificates = [...getCACertificates('default'), ...(options.extraCaCertificates ?? [])];
  let underWay = 0;

  async function send(call: PlatformCall) {
    const url = readUrl(call.url);
    const signal = AbortSignal.timeout(totalTimeoutMillis);
    const { allowPrivateHosts = [] } = call;
    const addresses = await beforeAbort(checkedAddresses(url, { allowPrivateHosts }, resolve), signal);
    const tls = { ca: call.caCertificate === undefined ? certificates : [call.caCertificate] };
    const client = openPinnedClient(url, addresses, tls, { connectTimeoutMillis, totalTimeoutMillis });
    try {
      const { statusCode, headers, body } = await client.request({
        method: call.method,
        path: `${url.pathname}${url.search}`,
        headers: { 'accept-encoding': 'identity', 'user-agent': 'mintmark', ...call.headers },
        body: call.body ?? null,
        signal,
      });
      if (statusCode >= 300 && statusCode < 400)
        throw new Error(`redirects are not followed (status ${statusCode})`);
      const encoding = headers['content-encoding'];
      if (encoding !== undefined && encoding !== 'identity') throw new Error('an encoded body is refused');
      return { status: statusCode, body: await readText(body, maxAnswerBytes) };
    } catch (cause) {
      throw new Error(`${call.method} to ${url.host}: ${messageOf(cause)}`, { cause });
    } finally {
      client.destroy().catch(() => undefined);
    }
  }

  return async (call) => {
    if (underWay >= maxConcurrentCalls) throw new Error(`${maxConcurrentCalls} calls are under way already`);
    underWay++;
    try {
      return await send(call);
    } finally {
      underWay--;
    }
  };
}
