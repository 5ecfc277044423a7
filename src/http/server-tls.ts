/** How the server speaks TLS itself: it asks for a client certificate, and leaves it to the exchange to judge one. */
import { constants } from 'node:crypto';
import type { Secret } from '../core/secret.ts';

export interface ServerTls {
  /** PEM: our own certificate, and what stands between it and a public root. */
  readonly certificate: string;
  /** PEM. */
  readonly key: Secret<string>;
}

/**
 * Node would check a client certificate against all authorities together: it is asked to check none, and one of them is
 * no identity until it has been validated against its own trust domain's roots. Without tickets there is no resumption:
 * a resumed session would show a certificate without its intermediates, for a key that nobody has proven since.
 */
export function serverTlsOptions({ certificate, key }: ServerTls) {
  return {
    cert: certificate,
    key: key.reveal(),
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  } as const;
}
