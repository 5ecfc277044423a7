/** The server's process: reads the environment and signals; starts, drains. */
import { openLogger } from './adapters/log/logger.ts';
import { ConfigRefused, readConfig } from './config.ts';
import { wallClock } from './wall-clock.ts';
import { wire } from './wire.ts';

const drainTimeoutMillis = 15_000;

/** Serves until SIGTERM or SIGINT, then finishes what is under way. Resolves with the exit code. */
export async function serve(environment: NodeJS.ProcessEnv): Promise<number> {
  const logger = openLogger({ level: 'info' });
  const config = readConfig(environment);
  const house = await wire(config, wallClock, logger);
  try {
    const address = await house.app.listen(config.listen);
    logger.info({ issuer: config.issuer, trustDomain: config.trustDomain, address }, 'listening');
    const signal = await nextSignal();
    logger.info({ signal }, 'draining');
    const giveUp = setTimeout(() => {
      logger.error('drain timed out');
      process.exit(1);
    }, drainTimeoutMillis);
    await house.close();
    clearTimeout(giveUp);
    logger.info('stopped');
    return 0;
  } catch (error) {
    await house.close();
    throw error;
  }
}

function nextSignal(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  return promise;
}

/** What a person needs to mend a failed start: the problems alone where we foresaw them, else the whole error. */
export function describeStartFailure(error: unknown): string {
  if (error instanceof ConfigRefused) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

if (import.meta.main) {
  try {
    process.exitCode = await serve(process.env);
  } catch (error) {
    process.stderr.write(`mintmark: ${describeStartFailure(error)}\n`);
    process.exitCode = 1;
  }
}
