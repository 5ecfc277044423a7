/** What a token request shows besides its credential: a DPoP proof, else a client certificate. */
import type { FastifyRequest } from 'fastify';
import { certificateProof, type RequestProof } from '../core/request-proof.ts';
import { readDpopHeader } from './shown-token.ts';

/** `url` is the endpoint's under our own name. Throws `dpop.malformed` where the header came more than once. */
export function readRequestProof(
  request: FastifyRequest,
  url: string,
  certificateChain: readonly Uint8Array[] | undefined,
): RequestProof | undefined {
  const shown = readDpopHeader(request, url);
  if (shown !== undefined) return { kind: 'dpop', ...shown };
  const leaf = certificateChain?.[0];
  return leaf && certificateProof(leaf);
}
