/** The client's certificate chain as the TLS handshake of this connection has shown it. Nothing here is trusted yet. */
import type { FastifyRequest } from 'fastify';

/** More than a chain may hold, so that one that is too long is refused as such; no more, so that reading one ends. */
const maxCertificatesRead = 8;

interface PeerCertificate {
  readonly raw?: Uint8Array;
  readonly issuerCertificate?: PeerCertificate;
}

interface TlsSocket {
  getPeerCertificate(isDetailed: true): PeerCertificate | undefined;
}

/** DER, leaf first, or undefined where the client showed no certificate. Its private key was proven in the handshake. */
export function chainOfConnection({ socket }: FastifyRequest): readonly Uint8Array[] | undefined {
  if (!isTlsSocket(socket)) return undefined;
  const chain: Uint8Array[] = [];
  const seen = new Set<PeerCertificate>();
  let certificate = socket.getPeerCertificate(true);
  while (certificate?.raw !== undefined && !seen.has(certificate) && chain.length < maxCertificatesRead) {
    seen.add(certificate); // a certificate signed by itself names itself as its issuer
    chain.push(certificate.raw);
    certificate = certificate.issuerCertificate;
  }
  return chain.length === 0 ? undefined : chain;
}

function isTlsSocket(socket: object): socket is TlsSocket {
  return 'getPeerCertificate' in socket;
}
