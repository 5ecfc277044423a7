/** What a connection is told that Node.js gave up on before there was a request: in the words of RFC 6749 §5.2 all the same. */
import type { Socket } from 'node:net';

const answers: Readonly<Record<string, { readonly status: string; readonly sentence: string }>> = {
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: '408 Request Timeout',
    sentence: 'The request took too long to arrive.',
  },
  HPE_HEADER_OVERFLOW: {
    status: '431 Request Header Fields Too Large',
    sentence: 'The request headers are too large.',
  },
};
const malformed = { status: '400 Bad Request', sentence: 'The request is not valid HTTP.' };

/** Answers where the socket can still be written to, and closes it. There is no request, so no event and no id. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  if (socket.writable) {
    const { status, sentence } = answers[error.code ?? ''] ?? malformed;
    const body = JSON.stringify({ error: 'invalid_request', error_description: sentence });
    const head = [
      `HTTP/1.1 ${status}`,
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Cache-Control: no-store',
      'Connection: close',
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  }
  socket.destroy(error);
}
