/** Many writers, few commits: what arrives while a write is in flight goes together in the next one. */

export interface GroupCommitOptions<T> {
  /** Makes the whole batch durable, or rejects. */
  readonly write: (batch: readonly T[]) => Promise<void>;
  /** Whether the error lies in what was written; a batch is then halved until the bad items fail alone. */
  readonly isItemsFault: (error: unknown) => boolean;
  readonly maxBatch: number;
  readonly maxInFlight: number;
  /** Items waiting, beyond those in flight; the next one is refused with what `overloaded` makes. */
  readonly maxQueued: number;
  readonly overloaded: () => Error;
  readonly closed: () => Error;
}

export interface GroupCommit<T> {
  /** Resolves after the commit of the write that held the item; rejects as that write did. */
  add(item: T): Promise<void>;
  /** Takes no more items, and resolves once those taken are settled. */
  close(): Promise<void>;
}

interface Waiting<T> {
  readonly item: T;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export function groupCommit<T>(options: GroupCommitOptions<T>): GroupCommit<T> {
  let queue: Waiting<T>[] = [];
  let inFlight = 0;
  let isScheduled = false;
  let isClosed = false;
  let onIdle: (() => void)[] = [];

  const flush = () => {
    isScheduled = false;
    while (queue.length > 0 && inFlight < options.maxInFlight) {
      const batch = queue.slice(0, options.maxBatch);
      queue = queue.slice(options.maxBatch);
      inFlight += 1;
      void commit(batch).then(() => {
        inFlight -= 1;
        flush();
      });
    }
    if (inFlight > 0 || queue.length > 0) return;
    for (const resolve of onIdle) resolve();
    onIdle = [];
  };

  const commit = async (batch: readonly Waiting<T>[]): Promise<void> => {
    try {
      await options.write(batch.map(({ item }) => item));
    } catch (error) {
      if (batch.length > 1 && options.isItemsFault(error)) {
        const half = Math.ceil(batch.length / 2);
        await commit(batch.slice(0, half));
        return await commit(batch.slice(half));
      }
      for (const { reject } of batch) reject(error);
      return;
    }
    for (const { resolve } of batch) resolve();
  };

  return {
    add: (item) =>
      new Promise((resolve, reject) => {
        if (isClosed) return reject(options.closed());
        if (queue.length >= options.maxQueued) return reject(options.overloaded());
        queue.push({ item, resolve, reject });
        // Waiting for the end of this turn lets requests that were read together be written together.
        if (isScheduled || inFlight >= options.maxInFlight) return;
        isScheduled = true;
        setImmediate(flush);
      }),
    close: () => {
      isClosed = true;
      return new Promise((resolve) => {
        onIdle.push(resolve);
        if (!isScheduled) flush();
      });
    },
  };
}
