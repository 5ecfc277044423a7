/** What a token request must be before it is read, so that no proxy in front of us can see another request than we do. */
import type { FastifyRequest } from 'fastify';
import { refuse } from '../core/error.ts';

/**
 * Throws an `OAuthError` for a query string or fragment (RFC 6749 §3.2), or an encoded body (RFC 9110 §8.4), which we do
 * not decode. Headers that came twice are refused for every route, in `app.ts`.
 */
export function requirePlainRequest({ url, headers }: FastifyRequest): void {
  if (/[?#]/.test(url)) refuse('request.query_parameters');
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') refuse('request.content_type');
}
