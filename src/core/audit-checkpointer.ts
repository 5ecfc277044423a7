/** When checkpoints are made: while events are written, and once more at the end. */
import { randomUUID } from 'node:crypto';
import type { AuditChains } from './audit-chain.ts';
import { checkpointAction, signCheckpoint } from './audit-checkpoint.ts';
import type { AuditSink, Clock, KeyRing } from './ports.ts';

/** Of one event: a process that lost its database many times has as many chains. */
const maxHeads = 200;

export interface CheckpointerOptions {
  readonly chains: AuditChains;
  readonly audit: AuditSink;
  readonly keyRing: KeyRing;
  readonly issuer: string;
  readonly clock: Clock;
}

/** Makes one checkpoint over the chains that moved since the last; none where only it was written. Rejects as signing and the audit do. */
export function createCheckpointer({ chains, audit, keyRing, issuer, clock }: CheckpointerOptions) {
  let writtenThen = 0;
  return async (): Promise<void> => {
    const written = chains.written();
    const heads = chains.heads().slice(0, maxHeads);
    if (written === writtenThen || heads.length === 0) return;
    const at = clock.now();
    await audit.append({
      requestId: randomUUID(),
      at,
      outcome: 'permitted',
      action: checkpointAction,
      remoteAddress: '',
      summary: `checkpoint of ${heads.length} chains`,
      checkpoint: await signCheckpoint(keyRing, issuer, heads, at),
    });
    chains.cover(heads);
    writtenThen = written + 1; // its own event; those written meanwhile are for the next one
  };
}
