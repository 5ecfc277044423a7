/** Work that a server does again and again as long as it runs. */
import type { FastifyBaseLogger } from 'fastify';

/** Runs the work again and again, one at a time; returns how to stop. */
export function every(
  millis: number,
  work: () => Promise<void>,
  logger: FastifyBaseLogger,
  complaint: string,
): () => void {
  const timer = setInterval(
    () => work().catch((error) => logger.warn({ err: error }, complaint)),
    millis,
  ).unref();
  return () => clearInterval(timer);
}
