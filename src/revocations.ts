/** Opens the revocations of this replica: read before it serves, fresh from then on, and part of its readiness. */
import type { FastifyBaseLogger } from 'fastify';
import type { Clock, RevocationStore } from './core/ports.ts';
import { createRevocationBook, type RevocationBook } from './core/revocation-book.ts';
import type { ReadinessCheck } from './http/dependencies.ts';

/** They are heard of at once; the poll is for what was not heard. */
const pollMillis = 1_000;
/** After so long without reading them a replica says that it may have missed some. */
const staleMillis = 30_000;

export interface OpenRevocations {
  readonly book: RevocationBook;
  /** Degraded, not refusing: what is known stays in force, and exchanges go on. */
  readonly readiness: ReadinessCheck;
  readonly close: () => void;
}

/** Rejects where they cannot be read: a replica that knew none would let revoked tokens pass. */
export async function openRevocations(
  store: RevocationStore,
  clock: Clock,
  logger: FastifyBaseLogger,
): Promise<OpenRevocations> {
  const book = createRevocationBook({
    store,
    clock,
    onProblem: (error) => logger.warn({ err: error }, 'revocations could not be read; those known stay'),
  });
  await book.refresh();
  const run = async () => {
    if (clock.now() - (book.readAt() ?? 0) > staleMillis) throw new Error('not read for long');
  };
  return {
    book,
    readiness: { name: 'revocations', run, isEssential: false },
    close: book.watch({ pollMillis }),
  };
}
