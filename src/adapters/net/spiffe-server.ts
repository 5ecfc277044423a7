/** TLS servers that are authenticated as SPIFFE workloads (X509-SVID §5) in place of web sites. */
import { X509Certificate } from 'node:crypto';
import type { PeerCertificate } from 'node:tls';
import type { SpiffeServer } from '../../core/ports.ts';

export interface TlsAuthentication {
  /** PEM; the only roots that count. */
  readonly ca: string[];
  readonly checkServerIdentity: (hostname: string, certificate: PeerCertificate) => Error | undefined;
}

/**
 * What to connect with, so that only the holder of an X.509-SVID of exactly that ID under those roots is the server. TLS
 * itself checks the path and the times; the host name says nothing. Throws where there is no root.
 */
export function authenticatedAs({ spiffeId, roots }: SpiffeServer): TlsAuthentication {
  // An empty list would not fail on every path: say it here.
  if (roots.length === 0) throw new Error('the bundle names no root for X.509-SVIDs');
  return {
    ca: [...roots],
    checkServerIdentity: (_hostname, { raw }) => svidProblem(new X509Certificate(raw), spiffeId),
  };
}

function svidProblem({ ca, subjectAltName = '' }: X509Certificate, expected: string): Error | undefined {
  if (ca) return new Error('the server presents a certificate authority, not an X.509-SVID');
  // Names with commas or control characters stand in quotes, and could hold what looks like another name.
  if (subjectAltName.includes('"')) return new Error("the server's certificate has a name that is not plain");
  const uris = subjectAltName.split(', ').filter((name) => name.startsWith('URI:'));
  if (uris.length !== 1) return new Error(`the server's certificate has ${uris.length} URI names, not one`);
  return uris[0] === `URI:${expected}` ? undefined : new Error(`the server is not ${expected}`);
}
