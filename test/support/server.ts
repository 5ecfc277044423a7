/** The real server as a child process, on a free loopback port and a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const mainPath = new URL('../../src/main.ts', import.meta.url).pathname;
const startTimeoutMillis = 30_000;

export interface RunningServer {
  /** Our issuer identifier, and where it listens. */
  readonly url: string;
  readonly dataDir: string;
  readonly process: ChildProcess;
  /** The bootstrap admin token. */
  adminToken(): string;
  /** All that it wrote so far, standard output and error together. */
  output(): string;
  /** Starts it again, on the same port and folder. */
  restart(): Promise<void>;
  /** Sends the signal and resolves with the exit code (null when the signal ended it). */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  /** Stops it and removes its folder. */
  remove(): Promise<void>;
}

/** Starts a server and waits until it is ready. `policy` is YAML text, given as `MINTMARK_POLICY`; `(url)` becomes its own URL.
 * `program` is the `main.ts` of another release. */
export async function startServer(
  options: { policy?: (url: string) => string; environment?: Record<string, string>; program?: string } = {},
): Promise<RunningServer> {
  const dataDir = mkdtempSync(join(tmpdir(), 'mintmark-'));
  const url = `http://127.0.0.1:${await freePort()}`;
  const policyPath = join(dataDir, 'policy.yaml');
  if (options.policy) writeFileSync(policyPath, options.policy(url));
  const environment = {
    PATH: process.env.PATH ?? '',
    MINTMARK_LISTEN: new URL(url).host,
    MINTMARK_TRUST_DOMAIN: 'mintmark.test',
    MINTMARK_DATA_DIR: join(dataDir, 'data'),
    ...(options.policy ? { MINTMARK_POLICY: policyPath } : {}),
    ...options.environment,
  };

  let written = '';
  let child = await launch().catch((error: unknown) => {
    rmSync(dataDir, { recursive: true, force: true });
    throw error;
  });

  async function launch(): Promise<ChildProcess> {
    const started = spawn(process.execPath, [options.program ?? mainPath], {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [started.stdout, started.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        written += text;
      });
    }
    await untilReady(started, url, () => written);
    return started;
  }

  async function stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
    return child.exitCode;
  }

  return {
    url,
    dataDir,
    get process() {
      return child;
    },
    adminToken: () => readFileSync(join(dataDir, 'data', 'admin-token'), 'utf8').trim(),
    output: () => written,
    restart: async () => {
      child = await launch();
    },
    stop,
    remove: async () => {
      await stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function untilReady(child: ChildProcess, url: string, output: () => string): Promise<void> {
  for (let waited = 0; waited < startTimeoutMillis; waited += 50) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}:\n${output()}`);
    const response = await fetch(`${url}/readyz`).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok) return;
    await sleep(50);
  }
  child.kill('SIGKILL');
  throw new Error(`the server was not ready in time:\n${output()}`);
}

/** A port that nothing listened on a moment ago. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
