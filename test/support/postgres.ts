/** A real PostgreSQL for tests: the binaries of the npm package, or a container. */
import { findEmbeddedPostgres } from './postgres-binaries.ts';
import { createDatabase } from './postgres-client.ts';
import { hasContainerEngine, startPostgresContainer } from './postgres-container.ts';
import { startPostgresProcess } from './postgres-process.ts';

export interface PostgresServer {
  /** Of a role that owns everything. */
  readonly url: string;
  /** Stops the server and deletes its data. */
  stop(): Promise<void>;
  /** Ends the server as the kernel would: SIGKILL to every process of it. */
  kill9(): Promise<void>;
  /** Holds every process of it still, so that connections stay open and nothing answers; then lets it go on. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Starts it again, on the same data and URL. */
  restart(): Promise<void>;
}

export interface Postgres extends PostgresServer {
  /** Makes an empty database and returns its URL. */
  createDatabase(): Promise<string>;
}

/** Starts a server of its own: in a container where an engine answers, elsewhere from the binaries of the npm package. */
export async function startPostgres(): Promise<Postgres> {
  const server = (await hasContainerEngine())
    ? await startPostgresContainer()
    : await startPostgresProcess(await findEmbeddedPostgres());
  return { ...server, createDatabase: () => createDatabase(server.url) };
}
