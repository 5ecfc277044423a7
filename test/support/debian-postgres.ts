/** Debian's PostgreSQL, server and tools of one release: pg_dump refuses a server that is newer than itself. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const folder = '/usr/lib/postgresql';

/** The newest release's folder that holds `bin/postgres` and `bin/pg_dump`. Throws where there is none. */
export function findDebianPostgres(): string {
  const releases = existsSync(folder) ? readdirSync(folder) : [];
  const whole = releases
    .map((release) => ({ release: Number(release), path: join(folder, release) }))
    .filter(({ path }) => ['postgres', 'pg_dump'].every((name) => existsSync(join(path, 'bin', name))))
    .sort((one, other) => other.release - one.release);
  const [newest] = whole;
  if (newest === undefined) throw new Error('no PostgreSQL with its tools (install postgresql)');
  return newest.path;
}
