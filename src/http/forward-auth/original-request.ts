/** The request that a proxy asks about: its method and URL count only as a trusted proxy says them, and where it says one thing. */
import type { FastifyRequest } from 'fastify';
import { refuse } from '../../core/error.ts';
import type { ShownProof } from '../../core/ports.ts';
import { normalProofUrl } from '../../core/proof-url.ts';
import type { CertificateSources } from '../forwarded-certificate.ts';

/**
 * The DPoP proof of the request, with what it must have been made for; undefined where there is none. `rest` is what
 * follows the scopes in the path: Envoy asks with the request's own method and host, and appends its path. Throws
 * `dpop.request_unknown`.
 */
export function readShownProof(
  request: FastifyRequest,
  rest: string,
  { isTrustedProxy }: Pick<CertificateSources, 'isTrustedProxy'>,
): ShownProof | undefined {
  const proof = headerOf(request, 'dpop');
  if (proof === undefined) return undefined;
  if (!isTrustedProxy(request.socket.remoteAddress ?? '')) {
    refuse('dpop.request_unknown', 'the proxy is none of MINTMARK_TRUSTED_PROXIES');
  }
  const methods = stated(request, 'x-original-method', 'x-forwarded-method');
  const isOwnMethod = rest !== '' || methods.length === 0;
  const method = oneOf(isOwnMethod ? [...methods, request.method] : methods, 'method');
  return { proof, method, url: oneOf(urlsOf(request, rest), 'URL') };
}

function urlsOf(request: FastifyRequest, rest: string): readonly string[] {
  const [original] = stated(request, 'x-original-url'); // nginx, by our example
  const [scheme] = stated(request, 'x-forwarded-proto');
  const [host] = stated(request, 'x-forwarded-host');
  const [uri] = stated(request, 'x-forwarded-uri'); // Traefik
  const forwarded = uri === undefined ? undefined : `${scheme}://${host}${uri}`;
  const appended = rest === '' ? undefined : `${scheme}://${request.headers.host}${rest}`;
  return [original, forwarded, appended].filter((url) => url !== undefined).map(normal);
}

/** Undefined parts make no URL, and are refused as such. */
function normal(url: string): string {
  return normalProofUrl(url) ?? refuse('dpop.request_unknown', 'the proxy states no whole URL');
}

/** A client may have written the headers of another proxy than ours, so that all that is stated must be one thing. */
function oneOf(values: readonly string[], what: string): string {
  const [only, ...others] = new Set(values);
  if (only !== undefined && others.length === 0) return only;
  return refuse(
    'dpop.request_unknown',
    `the proxy states ${values.length === 0 ? 'no' : 'more than one'} ${what}`,
  );
}

function stated(request: FastifyRequest, ...names: readonly string[]): readonly string[] {
  return names.map((name) => headerOf(request, name)).filter((value) => value !== undefined);
}

/** Node joins lines of one name by commas, which makes neither a method nor a URL nor a proof. */
function headerOf({ headers }: FastifyRequest, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}
