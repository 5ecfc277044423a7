/** PostgreSQL as a child process, on a folder of its own. */
import { chown, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PostgresServer } from './postgres.ts';
import { onServer } from './postgres-client.ts';
import { type Child, eventually, freePort, run, start, unprivileged } from './processes.ts';

export async function startPostgresProcess(binaries: string): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'mintmark-postgres-data-'));
  if (unprivileged.uid !== undefined) await chown(folder, unprivileged.uid, unprivileged.gid);
  const data = join(folder, 'data');
  const initdb = ['-D', data, '-U', 'mintmark', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'];
  await run(join(binaries, 'bin/initdb'), initdb, unprivileged);
  const port = await freePort();
  const url = `postgres://mintmark@127.0.0.1:${port}/postgres`;

  const launch = () =>
    // Started again while it fails: after a kill, the old backends hold the data until they notice.
    eventually(async () => {
      const child = start(
        join(binaries, 'bin/postgres'),
        [
          ...['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1'],
          ...['-c', 'unix_socket_directories=', '-c', 'max_connections=200', '-c', 'fsync=on'],
        ],
        unprivileged,
      );
      await eventually(async () => {
        if (child.process.exitCode !== null) return;
        await onServer(url, 'select 1');
      });
      if (child.process.exitCode !== null) throw new Error(`PostgreSQL did not start: ${child.output()}`);
      return child;
    });

  let child: Child = await launch();
  return {
    url,
    stop: async () => {
      await child.end('SIGINT');
      await rm(folder, { recursive: true, force: true });
    },
    kill9: async () => {
      const backends = await backendsOf(child);
      await child.end('SIGKILL');
      for (const backend of backends) signal(backend, 'SIGKILL');
    },
    pause: async () => {
      for (const pid of [Number(child.process.pid), ...(await backendsOf(child))]) signal(pid, 'SIGSTOP');
    },
    resume: async () => {
      for (const pid of [...(await backendsOf(child)), Number(child.process.pid)]) signal(pid, 'SIGCONT');
    },
    restart: async () => {
      child = await launch();
    },
  };
}

async function backendsOf({ process: { pid } }: Child): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}

function signal(pid: number, name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended by itself.
  }
}
