/** Work that is done one piece at a time, in the order in which it came. */

/** Runs the work once all earlier work is done, however that ended; what it gives or throws is its own caller's. */
export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

export function createTurns(): InTurn {
  let queue: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = queue.then(work);
    queue = turn.catch(() => undefined);
    return turn;
  };
}
