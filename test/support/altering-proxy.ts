/** A proxy in front of a server that changes what it answers, so that whoever watches the server has something to find. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export interface AlteringProxy {
  readonly url: string;
  /** Where requests go. */
  target: string;
  /** Whom it says that requests are from. */
  clientAddress: string;
  /** Changes an answer in place; undefined: not. */
  alter: ((request: { path: string; body: string }, answer: Answer) => void) | undefined;
  close(): Promise<void>;
}

export async function startAlteringProxy(): Promise<AlteringProxy> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString('utf8');
    const { host: _host, connection: _connection, 'content-length': _length, ...headers } = request.headers;
    const path = request.url ?? '/';
    const upstream = await fetch(`${proxy.target}${path}`, {
      method: request.method ?? 'GET',
      headers: { ...(headers as Record<string, string>), 'x-forwarded-for': proxy.clientAddress },
      ...(request.method === 'POST' ? { body } : {}),
    });
    const kept = ['content-type', 'cache-control', 'etag', 'date', 'x-request-id'];
    const answer: Answer = {
      status: upstream.status,
      headers: Object.fromEntries([...upstream.headers].filter(([name]) => kept.includes(name))),
      body: await upstream.text(),
    };
    proxy.alter?.({ path, body }, answer);
    response.writeHead(answer.status, answer.headers).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: AlteringProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    target: '',
    clientAddress: '192.0.2.1',
    alter: undefined,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
