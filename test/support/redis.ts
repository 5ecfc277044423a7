/** A real Redis for tests: the `redis-server` of this machine. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { type Child, eventually, freePort, start } from './processes.ts';

export interface RedisServer {
  readonly url: string;
  stop(): Promise<void>;
  kill9(): Promise<void>;
  restart(): Promise<void>;
  /** Holds it still, so that connections stay open and nothing answers; then lets it go on. */
  pause(): void;
  resume(): void;
}

/** Rejects with what to install where there is no `redis-server`. */
export async function startRedis(): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'mintmark-redis-'));
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;

  const launch = async (): Promise<Child> => {
    const options = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''];
    const child = start('redis-server', options);
    await eventually(async () => {
      if (child.process.pid === undefined || child.process.exitCode !== null) return;
      const redis = new Redis(url, { lazyConnect: true, retryStrategy: null });
      redis.on('error', () => {});
      try {
        await redis.connect();
        await redis.ping();
      } finally {
        redis.disconnect();
      }
    });
    if (child.process.pid === undefined || child.process.exitCode !== null) {
      throw new Error(`Redis did not start (install redis-server): ${child.output()}`);
    }
    return child;
  };

  let child = await launch();
  return {
    url,
    stop: async () => {
      await child.end('SIGTERM');
      await rm(folder, { recursive: true, force: true });
    },
    kill9: () => child.end('SIGKILL'),
    pause: () => void child.process.kill('SIGSTOP'),
    resume: () => void child.process.kill('SIGCONT'),
    restart: async () => {
      child = await launch();
    },
  };
}
