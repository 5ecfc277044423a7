/** What the commands ask of this machine besides the network and files: a program, and a Unix socket. */
import { execFile } from 'node:child_process';
import { request } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import { promisify } from 'node:util';
import type { CliDependencies } from './dependencies.ts';

const timeoutMillis = 10_000;

export const run: CliDependencies['run'] = async (program, args) => {
  const { stdout } = await promisify(execFile)(program, args, { timeout: timeoutMillis });
  return stdout;
};

export const postToSocket: CliDependencies['postToSocket'] = async (socketPath, path, json) => {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const options = {
    socketPath,
    path,
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) },
    signal: AbortSignal.timeout(timeoutMillis),
  };
  request(options, (response) => {
    textOf(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject);
  })
    .on('error', reject)
    .end(json);
  return promise;
};
