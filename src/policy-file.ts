/** `MINTMARK_POLICY`: the operator's own documents, applied at every start. */
import type { FastifyBaseLogger } from 'fastify';
import { readPolicyPath } from './adapters/policy-source/read-path.ts';
import type { PolicyBook } from './core/policy/book.ts';
import { RevisionConflict } from './core/policy-store.ts';
import type { Clock } from './core/ports.ts';
import { v7RequestId } from './core/request-id.ts';

export interface PolicyFile {
  readonly policyBook: PolicyBook;
  /** A file, or a folder of them. */
  readonly path: string;
  readonly clock: Clock;
  readonly logger: FastifyBaseLogger;
  /** Whether a file that cannot be applied now may be applied later: this replica runs on the last known state. */
  readonly isBorne: () => boolean;
}

const retryMillis = 2_000;
const maxRaces = 5;

/** Rejects where the file is refused. Returns how to stop trying, where the database has to come back first. */
export async function applyPolicyFile(file: PolicyFile): Promise<() => void> {
  try {
    await applyNow(file);
    return () => {};
  } catch (error) {
    if (!file.isBorne()) throw error;
    file.logger.warn({ err: error }, 'MINTMARK_POLICY is applied when the database is back');
    return applyLater(file);
  }
}

function applyLater(file: PolicyFile): () => void {
  const timer = setInterval(() => {
    if (file.isBorne()) return;
    clearInterval(timer);
    applyNow(file).catch((error) =>
      file.logger.error({ err: error }, 'MINTMARK_POLICY was not applied; what is stored stays in force'),
    );
  }, retryMillis).unref();
  return () => clearInterval(timer);
}

/** Replicas that start at once race to write the same file; whoever comes second finds it written. */
async function applyNow(file: PolicyFile, racesLeft = maxRaces): Promise<void> {
  const { policyBook, path, clock } = file;
  const sources = await readPolicyPath(path, 'file');
  try {
    await policyBook.replace(sources, {
      author: 'file',
      reason: `MINTMARK_POLICY ${path}`,
      managedBy: 'file',
      permit: () => {}, // whoever can write the file runs the server
      event: ({ revision, diff: { added, changed, removed } }) => ({
        requestId: v7RequestId(clock.now()),
        at: clock.now(),
        outcome: 'permitted',
        action: 'admin.policy.apply_file',
        remoteAddress: 'local',
        actor: 'file',
        summary: `${added.length} added, ${changed.length} changed, ${removed.length} removed; now at revision ${revision}`,
      }),
    });
  } catch (error) {
    if (!(error instanceof RevisionConflict) || racesLeft === 1) throw error;
    await applyNow(file, racesLeft - 1);
  }
}
