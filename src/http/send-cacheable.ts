/** Public documents that caches may keep, and ask about by their hash (RFC 9110 §8.8.3, RFC 9111). */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';

export function sendCacheable(
  request: FastifyRequest,
  reply: FastifyReply,
  maxAgeSeconds: number,
  contentType: string,
  document: object,
) {
  const body = JSON.stringify(document);
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  reply
    .header('cache-control', `public, max-age=${maxAgeSeconds}`)
    .header('etag', etag)
    .header('access-control-allow-origin', '*'); // public keys: a page in a browser may verify too
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  return reply.type(contentType).send(body);
}
