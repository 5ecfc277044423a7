/** Reads a token of ours from `Authorization`, and the `DPoP` header beside it (RFC 9449 §7.1). Nothing here is proven yet. */
import type { FastifyRequest } from 'fastify';
import { refuse } from '../core/error.ts';
import type { ShownProof } from '../core/ports.ts';
import type { ShownToken } from '../core/token-binding.ts';

/**
 * Undefined where there is neither `Bearer` (RFC 6750 §2.1) nor `DPoP` with a token. A proof must be for this path under our
 * issuer's own name, never under `Host`. Throws `dpop.malformed` where the header came more than once.
 */
export function readShownToken(
  request: FastifyRequest,
  issuer: string,
  certificate: ShownToken['certificate'],
): ShownToken | undefined {
  const { scheme, token } =
    /^(?<scheme>bearer|dpop) +(?<token>\S+) *$/i.exec(request.headers.authorization ?? '')?.groups ?? {};
  if (scheme === undefined || token === undefined) return undefined;
  const [path] = request.url.split('?', 1);
  return {
    scheme: scheme.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer',
    token,
    proof: readDpopHeader(request, `${issuer}${path}`),
    certificate,
  };
}

/** Undefined where there is no `DPoP` header. */
export function readDpopHeader(request: FastifyRequest, url: string): ShownProof | undefined {
  if (request.headers.dpop === undefined) return undefined;
  const [proof = '', ...others] = valuesOf(request.raw.rawHeaders);
  if (others.length > 0) refuse('dpop.malformed', 'the DPoP header came more than once'); // RFC 9449 §4.3
  return { proof, method: request.method, url };
}

/** As they came: Node joins headers that it does not know. */
function valuesOf(rawHeaders: readonly string[]): readonly string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'dpop');
}
