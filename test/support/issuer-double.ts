/**
 * A stand-in for an issuer and a trust domain: a real HTTP server on loopback that serves discovery, a JWK set and a
 * SPIFFE bundle, counts what it is asked, and can be slow, huge, failing or rotating.
 */
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Path = '/.well-known/openid-configuration' | '/jwks' | '/bundle.json';

export interface IssuerDouble {
  /** The issuer's URL, without a trailing slash. */
  readonly url: string;
  readonly jwksUrl: string;
  readonly bundleUrl: string;
  /** What is served; assign to rotate. */
  keys: unknown;
  bundle: unknown;
  /** The whole discovery document. */
  discovery: unknown;
  /** Sent on every answer; assign to add a Cache-Control. */
  headers: Record<string, string>;
  /** How the next answers go wrong; undefined makes them good again. */
  fault: Fault | undefined;
  /** How often a path was asked for. */
  count(path: Path): number;
  close(): Promise<void>;
}

export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly location?: string }
  | { readonly kind: 'slow'; readonly delayMillis: number }
  | { readonly kind: 'huge'; readonly bytes: number }
  | { readonly kind: 'reset' };

export interface IssuerDoubleOptions {
  readonly keys?: unknown;
  readonly bundle?: unknown;
  /** A free one by default. */
  readonly port?: number;
  /** Makes another server of the same listener, such as an https one. */
  readonly serverOf?: (listener: RequestListener) => Server;
  /** The origin that the documents name, when it is not `http://127.0.0.1:<port>`. */
  readonly originOf?: (port: number) => string;
}

/** Starts the double on a free port. Close it after the test. */
export async function startIssuerDouble(options: IssuerDoubleOptions = {}): Promise<IssuerDouble> {
  const counts = new Map<string, number>();
  const listener: RequestListener = ({ url: path = '' }, response) => {
    counts.set(path, (counts.get(path) ?? 0) + 1);
    const documents: Record<string, unknown> = {
      '/.well-known/openid-configuration': double.discovery,
      '/jwks': double.keys,
      '/bundle.json': double.bundle,
    };
    answer(response, documents[path], double);
  };
  const server = options.serverOf?.(listener) ?? createServer(listener);
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const url = options.originOf?.(port) ?? `http://127.0.0.1:${port}`;
  const double: IssuerDouble = {
    url,
    jwksUrl: `${url}/jwks`,
    bundleUrl: `${url}/bundle.json`,
    keys: options.keys ?? { keys: [] },
    bundle: options.bundle ?? { keys: [] },
    discovery: { issuer: url, jwks_uri: `${url}/jwks` },
    headers: {},
    fault: undefined,
    count: (path) => counts.get(path) ?? 0,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return double;
}

function answer(response: ServerResponse, document: unknown, { fault, headers }: IssuerDouble): void {
  const send = () => {
    response.writeHead(document === undefined ? 404 : 200, {
      'content-type': 'application/json',
      ...headers,
    });
    response.end(typeof document === 'string' ? document : JSON.stringify(document ?? {}));
  };
  switch (fault?.kind) {
    case undefined:
      send();
      break;
    case 'slow':
      setTimeout(send, fault.delayMillis).unref();
      break;
    case 'reset':
      response.socket?.destroy();
      break;
    case 'status':
      response.writeHead(fault.status, fault.location === undefined ? {} : { location: fault.location });
      response.end();
      break;
    case 'huge':
      response.writeHead(200, { 'content-type': 'application/json' }); // chunked: no Content-Length to warn of it
      response.end(JSON.stringify({ padding: 'x'.repeat(fault.bytes) }));
      break;
  }
}
