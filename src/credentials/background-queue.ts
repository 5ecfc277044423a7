/** How many fetches that nobody waits for run at once: a policy of a thousand issuers opens a few connections, not a thousand. */

/** Runs the work now, or once others have ended. The work must not throw. */
export type InBackground = (work: () => Promise<void>) => void;

/** Opens a queue that runs at most `limit` at once, in the order in which they came. */
export function openBackgroundQueue(limit: number): InBackground {
  const waiting: (() => Promise<void>)[] = [];
  let running = 0;

  function next(): void {
    if (running >= limit) return;
    const work = waiting.shift();
    if (work === undefined) return;
    running += 1;
    void work().finally(() => {
      running -= 1;
      next();
    });
  }

  return (work) => {
    waiting.push(work);
    next();
  };
}
