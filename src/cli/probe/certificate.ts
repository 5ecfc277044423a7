/** How long the certificate that a deployment shows is still valid. */
import { isIP } from 'node:net';
import { connect } from 'node:tls';
import { CommandFailure } from '../exit.ts';

const timeoutMillis = 10_000;
const dayMillis = 86_400_000;

/** Days left. Throws `CommandFailure` where the certificate is not one that this machine trusts for the host. */
export async function certificateDaysLeft(url: string, nowMillis: number): Promise<number> {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const socket = connect({
    host,
    port: Number(port || 443),
    ...(isIP(host) === 0 ? { servername: host } : {}), // RFC 6066 §3: no addresses
    timeout: timeoutMillis,
  });
  socket.once('secureConnect', () => {
    const endsAt = Date.parse(socket.getPeerCertificate().valid_to);
    if (Number.isNaN(endsAt)) reject(new CommandFailure('the certificate says not how long it is valid'));
    else resolve((endsAt - nowMillis) / dayMillis);
  });
  socket.once('timeout', () => reject(new CommandFailure('no TLS handshake in time')));
  socket.once('error', (error: NodeJS.ErrnoException) =>
    reject(new CommandFailure(`no TLS connection (${error.code ?? 'error'})`)),
  );
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}
