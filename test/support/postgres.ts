/** A real PostgreSQL for tests: the binaries of the npm package, or a container where there are none for this machine. */
import { findEmbeddedPostgres } from './postgres-binaries.ts';
import { createDatabase } from './postgres-client.ts';
import { startPostgresContainer } from './postgres-container.ts';
import { startPostgresProcess } from './postgres-process.ts';

export interface PostgresServer {
  /** Of a role that owns everything. */
  readonly url: string;
  /** Stops the server and deletes its data. */
  stop(): Promise<void>;
  /** Ends the server as the kernel would: SIGKILL to every process of it. */
  kill9(): Promise<void>;
  /** Starts it again, on the same data and URL. */
  restart(): Promise<void>;
}

export interface Postgres extends PostgresServer {
  /** Makes an empty database and returns its URL. */
  createDatabase(): Promise<string>;
}

/** Starts a server of its own, fsync on. The binaries come first: they are what the lock file names, and need no registry. */
export async function startPostgres(): Promise<Postgres> {
  const binaries = await findEmbeddedPostgres();
  const server =
    binaries === undefined ? await startPostgresContainer() : await startPostgresProcess(binaries);
  return { ...server, createDatabase: () => createDatabase(server.url) };
}
