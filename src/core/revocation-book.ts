/** The revocations in force on this replica: kept in memory, and fresh. */

import { OAuthError } from './error.ts';
import type { Clock, RevocationOrder, RevocationStore, Revocations } from './ports.ts';
import { createRevocationSet, type Revocation } from './revocation.ts';
import { createTurns } from './turns.ts';

export interface RevocationBook extends Revocations {
  /** Takes over what the store has of new. Rejects where the store does; what is known stays in force. */
  refresh(): Promise<void>;
  /** Latest first. */
  list: RevocationStore['list'];
  /** Durable, and in force here, when it resolves. Rejects as `RevocationStore.add` does, and with `server.revocations_unavailable`. */
  revoke(order: RevocationOrder): Promise<Revocation>;
  /** When the store was read last, in milliseconds since the epoch; undefined before. */
  readAt(): number | undefined;
  /** Refreshes every `pollMillis` and whenever the store hints at a change. Returns how to stop. */
  watch(options: { readonly pollMillis: number }): () => void;
}

export interface RevocationBookParts {
  readonly store: RevocationStore;
  readonly clock: Clock;
  /** Hears of a store that a watch could not read. Must not throw. */
  readonly onProblem: (error: unknown) => void;
}

const dropEveryMillis = 60_000;

export function createRevocationBook({ store, clock, onProblem }: RevocationBookParts): RevocationBook {
  let set = createRevocationSet();
  let seen = 0;
  let epoch = 0;
  let readAt: number | undefined;
  let droppedAt = clock.now();

  /** One at a time, so that a slow reading never passes over what came between. */
  const inTurn = createTurns();

  async function load(): Promise<void> {
    const now = clock.now();
    const head = await store.head();
    // Lower: the rows with the highest ids have expired, or the database is an older copy of itself.
    const isAnew = readAt === undefined || head < seen;
    if (isAnew || head > seen) takeOver(await store.load(isAnew ? 0 : seen, now), isAnew);
    if (isAnew) seen = head;
    readAt = now;
    if (now < droppedAt + dropEveryMillis) return;
    droppedAt = now;
    set.dropExpired(now);
  }

  function takeOver(revocations: readonly Revocation[], isAnew: boolean): void {
    const next = isAnew ? createRevocationSet() : set;
    for (const revocation of revocations) {
      next.add(revocation);
      seen = Math.max(seen, revocation.id);
    }
    set = next;
    epoch = Math.max(epoch, seen);
  }

  const refresh = () => inTurn(load);

  return {
    covers: (token) => set.covers(token),
    refusesNew: (identity, nowMillis) => set.refusesNew(identity, nowMillis),
    epoch: () => epoch,
    refresh,
    list: store.list,
    revoke: (order) =>
      inTurn(async () => {
        const made = await store.add(order).catch((cause) => {
          if (cause instanceof OAuthError) throw cause;
          throw new OAuthError('server.revocations_unavailable', { cause });
        });
        set.add(made); // `seen` stays: another replica's with a lower id may not have been read yet
        epoch = Math.max(epoch, made.id);
        return made;
      }),
    readAt: () => readAt,
    watch({ pollMillis }) {
      const check = () => void refresh().catch(onProblem);
      const timer = setInterval(check, pollMillis);
      timer.unref();
      const stopListening = store.onChange(check);
      return () => {
        clearInterval(timer);
        stopListening();
      };
    },
  };
}
