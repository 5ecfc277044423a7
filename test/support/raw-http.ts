/** HTTP by hand over a TCP socket: the exact bytes of other people's clients, and the exact bytes that they get back. */
import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  /** Lower-case names; a name that came twice has its values joined by a comma. */
  readonly headers: ReadonlyMap<string, string>;
  /** As many bytes as Content-Length said. */
  readonly body: string;
  /** Whether the server ended the connection after the answer. */
  readonly isEnded: boolean;
}

/** Opens a connection to the host of this URL. */
export async function openSocket(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect(Number(port), hostname, resolve);
  socket.once('error', reject);
  await promise;
  socket.off('error', reject);
  return socket;
}

/** Sends the request with nothing added and reads until the server closes, as a client that sent `Connection: close` does. */
export async function readToEnd(url: string, request: string, timeoutMillis = 10_000): Promise<RawAnswer> {
  const socket = await openSocket(url);
  socket.write(request);
  return await answerToEnd(socket, timeoutMillis);
}

/** Sends the request and reads one answer by its Content-Length, as a client that keeps the connection does. */
export async function readOneAnswer(
  url: string,
  request: string,
  timeoutMillis = 10_000,
): Promise<RawAnswer> {
  const socket = await openSocket(url);
  socket.write(request);
  try {
    return await collect(socket, timeoutMillis, (text) => isWhole(text));
  } finally {
    socket.destroy();
  }
}

export function answerToEnd(socket: Socket, timeoutMillis = 10_000): Promise<RawAnswer> {
  return collect(socket, timeoutMillis, () => false);
}

function collect(socket: Socket, timeoutMillis: number, isEnough: (text: string) => boolean) {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  let text = '';
  const timer = setTimeout(
    () => reject(new Error(`no whole answer in ${timeoutMillis} ms: ${text}`)),
    timeoutMillis,
  );
  const finish = (isEnded: boolean) => {
    try {
      resolve(readAnswer(text, isEnded));
    } catch (error) {
      reject(error);
    }
  };
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    text += chunk;
    if (isEnough(text)) finish(false);
  });
  socket.once('end', () => finish(true));
  socket.once('error', reject);
  return promise.finally(() => clearTimeout(timer));
}

function isWhole(text: string): boolean {
  const head = text.indexOf('\r\n\r\n');
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head))?.[1];
  return head !== -1 && length !== undefined && text.length >= head + 4 + Number(length);
}

function readAnswer(text: string, isEnded: boolean): RawAnswer {
  const head = text.indexOf('\r\n\r\n');
  const [statusLine, ...lines] = text.slice(0, head).split('\r\n');
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(statusLine ?? '')?.[1];
  if (head === -1 || status === undefined) throw new Error(`not an HTTP answer: ${JSON.stringify(text)}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value);
  }
  return { status: Number(status), headers, body: text.slice(head + 4), isEnded };
}
