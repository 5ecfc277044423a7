/** One HTTP server on a free loopback port, as every part of the demo but Mintmark itself is one. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export interface LoopbackServer {
  readonly url: string;
  close(): Promise<void>;
}

export type Answerer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Starts listening on 127.0.0.1. Whatever `answer` throws becomes a bare 500. */
export async function listenOnLoopback(answer: Answerer): Promise<LoopbackServer> {
  const server = createServer(async (request, response) => {
    try {
      await answer(request, response);
    } catch {
      if (!response.headersSent) response.writeHead(500);
      response.end();
    }
  });
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject).listen(0, '127.0.0.1', () => listening.resolve());
  await listening.promise;
  return {
    url: `http://127.0.0.1:${portOf(server.address())}`,
    close: () => {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      return closed.promise;
    },
  };
}

/** A port that was free a moment ago, for a process that must know its own URL before it listens. */
export async function findFreePort(): Promise<number> {
  const probe = await listenOnLoopback(() => {});
  await probe.close();
  return Number(new URL(probe.url).port);
}

/** Answers a GET of a known path with its document; all else with 404. */
export function serveDocuments(documents: Readonly<Record<string, object>>): Answerer {
  return ({ method, url = '' }, response) => {
    const document = Object.hasOwn(documents, url) ? documents[url] : undefined;
    if (method !== 'GET' || document === undefined) {
      response.writeHead(404).end();
      return;
    }
    sendJson(response, 200, document);
  };
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(`${JSON.stringify(body)}\n`);
}

function portOf(address: string | { readonly port: number } | null): number {
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}
