/** The client's certificate chain where TLS ended at a proxy: a header that counts from trusted hops only, and proves nothing by itself. */
import type { FastifyRequest } from 'fastify';
import { refuse } from '../core/error.ts';
import { chainOfConnection } from './client-certificate.ts';
import { readBase64, readEscapedPem } from './pem-certificates.ts';
import { readXfcc } from './xfcc.ts';

export type CertificateHeader = 'client-cert' | 'xfcc' | 'nginx' | 'alb';

export interface CertificateSources {
  /** Which proxy's header is read; undefined reads none. */
  readonly certificateHeader: CertificateHeader | undefined;
  /** Whether the address is that of a hop that removes such headers from what it forwards, and writes its own. */
  readonly isTrustedProxy: (address: string) => boolean;
}

type Values = ReadonlyMap<string, string>;
type Chain = readonly Uint8Array[];

const names: Readonly<Record<CertificateHeader, readonly string[]>> = {
  'client-cert': ['client-cert', 'client-cert-chain'], // RFC 9440 §2
  xfcc: ['x-forwarded-client-cert'],
  nginx: ['ssl-client-cert', 'ssl-client-verify'], // as ingress-nginx names them
  alb: ['x-amzn-mtls-clientcert-leaf', 'x-amzn-mtls-clientcert'],
};

const readers: Readonly<Record<CertificateHeader, (values: Values) => Chain | undefined>> = {
  'client-cert': readClientCert,
  xfcc: (values) => readXfcc(values.get('x-forwarded-client-cert') ?? ''),
  nginx: readNginx,
  alb: readAlb,
};

/**
 * DER, leaf first, or undefined where the client showed none. A trusted hop's own certificate is never its client's: what
 * the hop does not forward was not shown. Throws `request.certificate_header_*`.
 */
export function presentedChain(
  request: FastifyRequest,
  { certificateHeader, isTrustedProxy }: CertificateSources,
): Chain | undefined {
  const isTrustedHop = isTrustedProxy(request.socket.remoteAddress ?? '');
  if (certificateHeader !== undefined) {
    const values = valuesOf(request.raw.rawHeaders, names[certificateHeader]);
    if (values.size > 0 && !isTrustedHop) refuse('request.certificate_header_untrusted');
    if (values.size > 0) return readForwarded(certificateHeader, values);
  }
  return isTrustedHop ? undefined : chainOfConnection(request);
}

function readForwarded(header: CertificateHeader, values: Values): Chain | undefined {
  if (header === 'nginx' && isShownNone(values)) return undefined;
  return readers[header](values) ?? refuse('request.certificate_header_malformed', header);
}

/** From the headers as they came, since Node joins those that are repeated: which of two is the proxy's, nobody can say. */
function valuesOf(rawHeaders: readonly string[], wanted: readonly string[]): Values {
  const values = new Map<string, string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? '';
    if (!wanted.includes(name)) continue;
    if (values.has(name)) refuse('request.certificate_header_repeated', name);
    values.set(name, rawHeaders[index + 1] ?? '');
  }
  return values;
}

/** RFC 9440 §2: byte sequences of RFC 9651 §3.3.5, the chain without the leaf. */
function readClientCert(values: Values): Chain | undefined {
  const leaf = readByteSequence(values.get('client-cert') ?? '');
  const others = (values.get('client-cert-chain') ?? '').split(',').map((item) => item.trim());
  const chain = others.length === 1 && others[0] === '' ? [] : others.map(readByteSequence);
  const whole = [leaf, ...chain].filter((der) => der !== undefined);
  return whole.length === chain.length + 1 ? whole : undefined;
}

function readByteSequence(text: string): Uint8Array | undefined {
  const base64 = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(text)?.[1];
  return base64 === undefined ? undefined : readBase64(base64);
}

/** nginx forwards what its client showed even where it does not trust it, and says so in `$ssl_client_verify` alone. */
function readNginx(values: Values): Chain | undefined {
  if (values.get('ssl-client-verify') !== 'SUCCESS') refuse('request.certificate_header_unverified');
  const chain = readEscapedPem(values.get('ssl-client-cert') ?? '');
  return chain?.length === 1 ? chain : undefined;
}

function isShownNone(values: Values): boolean {
  return values.get('ssl-client-verify') === 'NONE' && !values.get('ssl-client-cert');
}

/** Verify mode sends the leaf, passthrough mode the chain; never both. */
function readAlb(values: Values): Chain | undefined {
  const leaf = values.get('x-amzn-mtls-clientcert-leaf');
  const chain = values.get('x-amzn-mtls-clientcert');
  if (leaf !== undefined && chain !== undefined) return undefined;
  const certificates = readEscapedPem(leaf ?? chain ?? '');
  return leaf !== undefined && certificates?.length !== 1 ? undefined : certificates;
}
