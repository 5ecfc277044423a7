/** Vitest's global setup for the `services` group: one PostgreSQL and one Redis, shared by its files. */
import type { TestProject } from 'vitest/node';
import { startPostgres } from './postgres.ts';
import { startRedis } from './redis.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Of a server with rights to make databases; `createDatabase` makes one a file. */
    postgresUrl: string;
    /** Absent only where test/run.ts has said `NOT RUN: redis`. */
    redisUrl: string | undefined;
  }
}

export default async function startServices(project: TestProject): Promise<() => Promise<void>> {
  const isWithoutRedis = process.env.MINTMARK_TEST_WITHOUT?.split(',').includes('redis') ?? false;
  // One after the other: where Redis is missing, no PostgreSQL is left running.
  const redis = isWithoutRedis ? undefined : await startRedis();
  const postgres = await startPostgres();
  project.provide('postgresUrl', postgres.url);
  project.provide('redisUrl', redis?.url);
  return async () => {
    await Promise.all([postgres.stop(), redis?.stop()]);
  };
}
