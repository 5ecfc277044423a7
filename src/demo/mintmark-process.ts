/** Mintmark as a user runs it: the command line's `serve` and `why`, as child processes with an environment of their own. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface MintmarkProcess {
  /** Its issuer identifier, and where it listens. */
  readonly url: string;
  readonly dataDir: string;
  readonly logFile: string;
  /** Rejects where the server ends or is not ready within a minute, with the end of its log. */
  untilReady(signal: AbortSignal): Promise<void>;
  /** What `mintmark why` prints; rejects where it fails. */
  why(requestId: string, signal: AbortSignal): Promise<string>;
  /** The admin token that the embedded installation made for itself. */
  readAdminToken(): string;
  stop(): Promise<void>;
}

const commandPath = fileURLToPath(new URL('../cli/mintmark.ts', import.meta.url));

const readyTimeoutMillis = 60_000;
const pollMillis = 25;
const stopTimeoutMillis = 5_000;
const whyTimeoutMillis = 20_000;
const shownLogLines = 12;

/** Starts the server and returns at once. Its data and log stand in `folder`; nothing of our environment but PATH reaches it. */
export function launchMintmark(options: {
  readonly port: number;
  readonly folder: string;
  readonly trustDomain: string;
  readonly policyFile: string;
}): MintmarkProcess {
  const url = `http://127.0.0.1:${options.port}`;
  const dataDir = join(options.folder, 'data');
  const logFile = join(options.folder, 'server.log');
  const log = openSync(logFile, 'w', 0o600);
  const environment = { PATH: process.env.PATH ?? '' };
  const child = spawn(process.execPath, [commandPath, 'serve'], {
    env: {
      ...environment,
      MINTMARK_LISTEN: new URL(url).host,
      MINTMARK_DATA_DIR: dataDir,
      MINTMARK_TRUST_DOMAIN: options.trustDomain,
      MINTMARK_POLICY: options.policyFile,
    },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const fail = (what: string) => {
    const end = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-shownLogLines).join('\n');
    return new Error(`Mintmark ${what}. The end of its log:\n${end}`);
  };

  return {
    url,
    dataDir,
    logFile,
    untilReady: async (signal) => {
      for (let waited = 0; waited < readyTimeoutMillis; waited += pollMillis) {
        signal.throwIfAborted();
        if (!isRunning()) throw fail(`ended with ${child.exitCode ?? child.signalCode}`);
        const response = await fetch(`${url}/readyz`).catch(() => undefined);
        await response?.body?.cancel();
        if (response?.ok) return;
        await sleep(pollMillis);
      }
      throw fail('was not ready in time');
    },
    why: async (requestId, signal) => {
      const { stdout } = await promisify(execFile)(process.execPath, [commandPath, 'why', requestId], {
        env: { ...environment, MINTMARK_URL: url, MINTMARK_DATA_DIR: dataDir },
        signal,
        timeout: whyTimeoutMillis,
      });
      return stdout.trimEnd();
    },
    readAdminToken: () => readFileSync(join(dataDir, 'admin-token'), 'utf8').trim(),
    stop: async () => {
      if (!isRunning()) return;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      const giveUp = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMillis);
      await exited;
      clearTimeout(giveUp);
    },
  };
}
