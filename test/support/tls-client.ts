/** A client that shows a certificate in a real TLS handshake and posts one form. */
import { once } from 'node:events';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { FastifyInstance } from 'fastify';

export interface TlsAnswer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** A connection after its handshake. `options` hold `cert` and `key`, and the `ca` that signed the server's certificate. */
export async function openTls(app: FastifyInstance, options: ConnectionOptions): Promise<TLSSocket> {
  return openTlsTo((app.server.address() as AddressInfo).port, options);
}

/** The same to a loopback port. */
export async function openTlsTo(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', servername: 'localhost', port, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

/** `POST /oauth/token` on that connection, which is kept open unless `closes`. */
export async function postOver(
  socket: TLSSocket,
  form: Record<string, string>,
  closes = true,
  headers: Record<string, string> = {},
): Promise<TlsAnswer> {
  const call = request({
    createConnection: () => socket,
    host: 'localhost',
    method: 'POST',
    path: '/oauth/token',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      ...headers,
      connection: closes ? 'close' : 'keep-alive',
    },
  });
  call.end(new URLSearchParams(form).toString());
  const [response] = await once(call, 'response');
  return { status: response.statusCode, body: JSON.parse(await text(response)) };
}
