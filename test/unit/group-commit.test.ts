/** Group commit by itself: what goes together, what is refused, and that no item is lost or settled twice. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type GroupCommitOptions, groupCommit } from '../../src/core/group-commit.ts';

function recording(overrides: Partial<GroupCommitOptions<number>> = {}) {
  const batches: (readonly number[])[] = [];
  let inFlight = 0;
  let mostInFlight = 0;
  const commits = groupCommit<number>({
    write: async (batch) => {
      batches.push(batch);
      inFlight += 1;
      mostInFlight = Math.max(mostInFlight, inFlight);
      await new Promise((resolve) => setTimeout(resolve, 1));
      inFlight -= 1;
    },
    isItemsFault: () => false,
    maxBatch: 10,
    maxInFlight: 2,
    maxQueued: 100,
    overloaded: () => new Error('overloaded'),
    closed: () => new Error('closed'),
    ...overrides,
  });
  return { commits, batches, mostInFlight: () => mostInFlight };
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

test('what is added in one turn goes in one write, in order', async () => {
  const { commits, batches } = recording();
  await Promise.all(upTo(7).map((item) => commits.add(item)));
  expect(batches).toEqual([upTo(7)]);
});

test('what arrives while writes are in flight waits, and goes together', async () => {
  const { commits, batches, mostInFlight } = recording();
  await Promise.all(upTo(45).map((item) => commits.add(item)));
  expect(batches.map(({ length }) => length)).toEqual([10, 10, 10, 10, 5]);
  expect(batches.flat()).toEqual(upTo(45));
  expect(mostInFlight()).toBe(2);
});

test('an item resolves only after its write has', async () => {
  const finish: (() => void)[] = [];
  const { commits } = recording({ write: () => new Promise((resolve) => finish.push(resolve)) });
  let isSettled = false;
  const added = commits.add(1).then(() => {
    isSettled = true;
  });
  await expect.poll(() => finish.length).toBe(1);
  expect(isSettled).toBe(false);
  finish[0]?.();
  await added;
});

test('a write that fails rejects the items it held, and the next one is tried', async () => {
  let writes = 0;
  const { commits } = recording({
    maxInFlight: 1,
    write: async () => {
      writes += 1;
      if (writes === 1) throw new Error('disk full');
    },
  });
  const results = await Promise.allSettled(upTo(15).map((item) => commits.add(item)));
  expect(results.map(({ status }) => status)).toEqual([
    ...Array(10).fill('rejected'),
    ...Array(5).fill('fulfilled'),
  ]);
});

test('past the bound an item is refused at once; then there is room again', async () => {
  const { commits } = recording({ maxQueued: 3 });
  const results = await Promise.allSettled(upTo(5).map((item) => commits.add(item)));
  expect(results.map(({ status }) => status).slice(3)).toEqual(['rejected', 'rejected']);
  await commits.add(6);
});

test('close settles what was taken, and refuses what comes after', async () => {
  const { commits, batches } = recording();
  const added = upTo(35).map((item) => commits.add(item));
  const closed = commits.close();
  await expect(commits.add(99)).rejects.toThrow('closed');
  await closed;
  expect(batches.flat()).toEqual(upTo(35));
  await Promise.all(added);
  await commits.close();
});

test('bad items fail alone, whichever they are', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 40 }), async (bad) => {
      const fault = new Error('bad item');
      const written: number[] = [];
      const { commits } = recording({
        write: async (batch) => {
          if (batch.some((item) => bad[item])) throw fault;
          written.push(...batch);
        },
        isItemsFault: (error) => error === fault,
      });
      const results = await Promise.allSettled(bad.map((_, item) => commits.add(item)));
      expect(results.map(({ status }) => status === 'rejected')).toEqual(bad);
      expect(written.sort((a, b) => a - b)).toEqual(upTo(bad.length).filter((item) => !bad[item]));
    }),
    { numRuns: 50 },
  );
});
