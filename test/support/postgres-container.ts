/** PostgreSQL in a container, for machines with an engine that runs containers. */
import { GenericContainer, getContainerRuntimeClient, Wait } from 'testcontainers';
import type { PostgresServer } from './postgres.ts';
import { onServer } from './postgres-client.ts';
import { eventually, freePort } from './processes.ts';

/** Whether testcontainers finds an engine that answers. */
export async function hasContainerEngine(): Promise<boolean> {
  return await getContainerRuntimeClient().then(
    () => true,
    () => false,
  );
}

/** Rejects where no container engine answers. */
export async function startPostgresContainer(): Promise<PostgresServer> {
  // A port of our choosing, so that the URL stays the same over a restart.
  const port = await freePort();
  const container = await new GenericContainer('postgres:18-alpine')
    .withEnvironment({ POSTGRES_USER: 'mintmark', POSTGRES_HOST_AUTH_METHOD: 'trust' })
    .withExposedPorts({ container: 5432, host: port })
    .withCommand(['postgres', '-c', 'max_connections=200'])
    .withWaitStrategy(Wait.forListeningPorts())
    .start();
  const url = `postgres://mintmark@${container.getHost()}:${port}/postgres`;
  const { container: engine } = await getContainerRuntimeClient();
  const handle = engine.getById(container.getId());
  const answers = () => eventually(() => onServer(url, 'select 1'), 60_000);
  await answers();
  return {
    url,
    stop: async () => {
      await container.stop();
    },
    kill9: async () => {
      await handle.kill();
    },
    pause: async () => {
      await handle.pause();
    },
    resume: async () => {
      await handle.unpause();
    },
    restart: async () => {
      await handle.start();
      await answers();
    },
  };
}
