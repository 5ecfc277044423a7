/** Child processes of tests: a free port, an end that comes, and a user who is not root. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** PostgreSQL refuses to run as root; `nobody` may run it then. */
export const unprivileged = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export interface Child {
  readonly process: ChildProcess;
  /** What it has written so far. */
  output(): string;
  /** Sends the signal and resolves once the process has ended. */
  end(signal: NodeJS.Signals): Promise<void>;
}

/** Starts a program that dies with this process at the latest. */
export function start(
  command: string,
  args: readonly string[],
  options: { uid?: number; gid?: number } = {},
): Child {
  const child = spawn(command, args, { ...options, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-10_000);
    });
  }
  const ended = new Promise<void>((resolve) => {
    child.on('exit', () => resolve());
    child.on('error', (error) => {
      output += error.message;
      resolve();
    });
  });
  const killAtExit = () => child.kill('SIGKILL');
  process.on('exit', killAtExit);
  void ended.then(() => process.off('exit', killAtExit));
  return {
    process: child,
    output: () => output,
    end: async (signal) => {
      child.kill(signal);
      await ended;
    },
  };
}

/** Runs a program to its end; rejects with what it wrote where it fails. */
export async function run(
  command: string,
  args: readonly string[],
  options: { uid?: number; gid?: number } = {},
) {
  const child = start(command, args, options);
  await once(child.process, 'close');
  if (child.process.exitCode !== 0) throw new Error(`${command} failed: ${child.output()}`);
}

/** Tries until it works; rejects with the last failure after the time. */
export async function eventually<T>(attempt: () => Promise<T>, timeoutMillis = 15_000): Promise<T> {
  const deadline = performance.now() + timeoutMillis;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(50);
    }
  }
}
