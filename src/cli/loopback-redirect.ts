/** The one request by which a browser brings an authorization answer back to this machine (RFC 8252 §7.3). */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { CommandFailure } from './exit.ts';

export interface LoopbackRedirect {
  readonly redirectUri: string;
  /** The query of the answer. Throws `CommandFailure` where none comes within `waitMillis`. */
  answer(waitMillis: number): Promise<URLSearchParams>;
  close(): void;
}

const callbackPath = '/callback';
const maxHeaderBytes = 16 * 1024;

/** Listens on 127.0.0.1 and a port that the system chooses. What it answers repeats nothing of a request. */
export async function listenForRedirect(): Promise<LoopbackRedirect> {
  let deliver: (query: URLSearchParams) => void = () => {};
  const answered = new Promise<URLSearchParams>((resolve) => {
    deliver = resolve;
  });
  const server = createServer({ maxHeaderSize: maxHeaderBytes }, ({ method, url = '' }, response) => {
    const [path, query = ''] = url.split('?', 2);
    if (path !== callbackPath || method !== 'GET') {
      say(response, 404, 'There is nothing here.');
      return;
    }
    say(response, 200, 'Thank you. The terminal says how it went; this window can be closed.');
    deliver(new URLSearchParams(query)); // a second answer changes nothing
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port on 127.0.0.1');
  return {
    redirectUri: `http://127.0.0.1:${address.port}${callbackPath}`,
    answer: async (waitMillis) => {
      let timer: NodeJS.Timeout | undefined;
      const tooLate = new Promise<never>((_, reject) => {
        timer = setTimeout(
          () => reject(new CommandFailure('nobody signed in within the time that there is')),
          waitMillis,
        );
      });
      return Promise.race([answered, tooLate]).finally(() => clearTimeout(timer));
    },
    close: () => {
      server.close();
      server.closeIdleConnections();
    },
  };
}

function say(response: ServerResponse, status: number, text: string): void {
  response
    .writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer', // the address holds the code
      connection: 'close',
    })
    .end(`${text}\n`);
}
