/** One file of spooled audit events, a line each: on disk before an append resolves, read back whole lines only. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { groupCommit } from '../../core/group-commit.ts';

export interface SpoolFile {
  readonly path: string;
  readonly bytes: () => number;
  readonly lines: () => number;
  /** Resolves once the line is on disk; rejects where it is not known to be. */
  append(line: string): Promise<void>;
  close(): Promise<void>;
}

const maxBatch = 1000;
const maxQueued = 10_000;

/** Creates the file, which must not exist. After a failed write its end is unknown, so that every later append fails too. */
export async function createSpoolFile(path: string): Promise<SpoolFile> {
  const handle = await open(path, 'ax', 0o600);
  let bytes = 0;
  let lines = 0;
  let broken: unknown;
  const commits = groupCommit<string>({
    write: async (batch) => {
      if (broken !== undefined) throw broken;
      const text = Buffer.from(`${batch.join('\n')}\n`);
      try {
        await handle.appendFile(text);
        await handle.datasync();
      } catch (error) {
        broken = error;
        throw error;
      }
      bytes += text.length;
      lines += batch.length;
    },
    isItemsFault: () => false,
    maxBatch,
    maxInFlight: 1,
    maxQueued,
    overloaded: () => new Error('too many audit events wait for the disk'),
    closed: () => new Error('this spool file is closed'),
  });
  return {
    path,
    bytes: () => bytes,
    lines: () => lines,
    append: (line) => commits.add(line),
    close: async () => {
      await commits.close();
      await handle.close();
    },
  };
}

const newline = 0x0a;

/**
 * The lines in batches, split at line feeds alone: an event may hold any other line separator. A last line without its
 * end was never acknowledged, and is left out.
 */
export async function* readSpoolFile(path: string, batchSize: number): AsyncGenerator<readonly string[]> {
  let rest = Buffer.alloc(0);
  let batch: string[] = [];
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    const bytes = Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, start)) {
      batch.push(bytes.toString('utf8', start, end));
      start = end + 1;
      if (batch.length < batchSize) continue;
      yield batch;
      batch = [];
    }
    rest = bytes.subarray(start);
  }
  if (batch.length > 0) yield batch;
}
