/** What a token request must be before it is read, so that no proxy in front of us can see another request than we do. */
import type { FastifyRequest } from 'fastify';
import { refuse } from '../core/error.ts';

/**
 * Throws an `OAuthError` for a query string or fragment (RFC 6749 §3.2), a header that chooses the caller or the parser
 * and came twice (Node would keep the first, others the last), or an encoded body (RFC 9110 §8.4), which we do not decode.
 */
export function requirePlainRequest({ url, headers, raw }: FastifyRequest): void {
  if (/[?#]/.test(url)) refuse('request.query_parameters');
  if (timesSent(raw.rawHeaders, 'authorization') > 1) refuse('request.two_client_authentications');
  const encoding = headers['content-encoding'];
  const isEncoded = encoding !== undefined && encoding.toLowerCase() !== 'identity';
  if (isEncoded || timesSent(raw.rawHeaders, 'content-type') > 1) refuse('request.content_type');
}

/** `rawHeaders` holds names and values in turn. */
function timesSent(rawHeaders: readonly string[], name: string): number {
  return rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === name).length;
}
