/** The audit's way out when its database is away: events go to disk, and into the database, each once, when it is back. */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, open, readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuditEvent } from '../../core/audit.ts';
import { OAuthError } from '../../core/error.ts';
import type { AuditSink, Clock } from '../../core/ports.ts';
import { createSpoolFile, readSpoolFile, type SpoolFile } from './spool-file.ts';

/** The store that events are meant for. */
export interface SpooledStore extends AuditSink {
  /** Whether an append failed for what the event holds: the disk would only keep it from being seen. */
  isEventsFault(error: unknown): boolean;
  /** Writes the events that the store lacks, by their request id. Rejects as a whole. */
  restore(events: readonly AuditEvent[]): Promise<void>;
}

export interface SpoolOptions {
  /** This process's own; nobody else writes there. */
  readonly folder: string;
  readonly store: SpooledStore;
  readonly clock: Clock;
  /** How long an attempt waits for the store before its event goes to disk. */
  readonly patienceMillis?: number;
  /** How often the store is tried again. */
  readonly retryMillis?: number;
  /** Beyond this the spool takes no more, and attempts are refused: a full disk would harm more than us. */
  readonly maxBytes?: number;
  readonly log: (message: string, details: object) => void;
}

export interface SpoolStatus {
  readonly isSpooling: boolean;
  /** Events on disk that the store may lack. */
  readonly events: number;
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly since?: number;
}

export interface Spool extends AuditSink {
  status(): SpoolStatus;
  /** Rejects where the next event could not be spooled: the spool is full, or its folder is gone. */
  ping(): Promise<void>;
  /** Tries to empty the spool now. Resolves with whether it is empty. */
  drain(): Promise<boolean>;
  close(): Promise<void>;
}

const spoolFilePattern = /^audit-.*\.ndjson$/;
const replayBatch = 500;
const gibibyte = 1024 ** 3;

interface WaitingFile {
  readonly path: string;
  readonly events: number;
  readonly bytes: number;
}

/**
 * Events go to the store; where it does not answer in time, to disk until it does. An event may reach both, since a
 * store that gave no answer may have kept it: the replay writes only what the store lacks. Takes over what an earlier
 * process left in the folder.
 */
export async function openSpool(options: SpoolOptions): Promise<Spool> {
  const { folder, store, clock, log } = options;
  const { patienceMillis = 1_000, retryMillis = 1_000, maxBytes = gibibyte } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  /** The file that is written now, and its making. */
  let current: SpoolFile | undefined;
  let creating: Promise<void> | undefined;
  /** Files to be replayed, the oldest first. */
  const waiting = await filesLeftIn(folder);
  /** Since when events go to disk. */
  let since: number | undefined;
  let draining: Promise<boolean> | undefined;

  if (waiting.length > 0) enterOutage();
  const timer = setInterval(() => {
    if (since !== undefined || waiting.length > 0) void drain();
  }, retryMillis).unref();

  function enterOutage(cause?: unknown): void {
    if (since !== undefined) return;
    since = clock.now();
    log('audit events go to disk until the database takes them', { err: cause });
  }

  async function append(event: AuditEvent): Promise<void> {
    if (since !== undefined) return await toDisk(event);
    const { promise: lateness, resolve } = Promise.withResolvers<'late'>();
    const patience = setTimeout(() => resolve('late'), patienceMillis);
    const written = store.append(event);
    try {
      const outcome = await Promise.race([written, lateness]);
      if (outcome !== 'late') return;
      written.catch(() => {}); // the event is on disk by then
      enterOutage(new Error(`the database did not answer within ${patienceMillis} ms`));
    } catch (error) {
      if (!isOutage(error)) throw error;
      enterOutage(error);
    } finally {
      clearTimeout(patience);
    }
    await toDisk(event);
  }

  /** Overload is no outage: to spool then would only move the queue to the disk. */
  function isOutage(error: unknown): boolean {
    return (
      error instanceof OAuthError &&
      error.reason === 'server.audit_unavailable' &&
      !store.isEventsFault(error.cause)
    );
  }

  async function toDisk(event: AuditEvent): Promise<void> {
    try {
      requireRoom();
      // The file may be set aside while we wait for it; its successor is then made.
      while (current === undefined) {
        creating ??= createCurrent().finally(() => {
          creating = undefined;
        });
        await creating;
      }
      await current.append(JSON.stringify(event));
    } catch (cause) {
      throw new OAuthError('server.audit_unavailable', { cause });
    }
  }

  function requireRoom(): void {
    if (sizeNow().bytes >= maxBytes) throw new Error(`the audit spool holds ${maxBytes} bytes already`);
  }

  async function createCurrent(): Promise<void> {
    // By time, so that the oldest file sorts first; random, so that no clock makes two of one name.
    const path = join(folder, `audit-${String(clock.now()).padStart(15, '0')}-${randomUUID()}.ndjson`);
    const file = await createSpoolFile(path);
    await syncFolder(folder);
    current = file;
  }

  function sizeNow(): { readonly events: number; readonly bytes: number } {
    const files = [...waiting, ...(current ? [{ events: current.lines(), bytes: current.bytes() }] : [])];
    return {
      events: files.reduce((sum, { events }) => sum + events, 0),
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  }

  function drain(): Promise<boolean> {
    draining ??= drainAll().finally(() => {
      draining = undefined;
    });
    return draining;
  }

  async function drainAll(): Promise<boolean> {
    try {
      for (;;) {
        await setAside();
        const [file] = waiting;
        if (file === undefined) return true;
        await replay(file.path);
        await unlink(file.path);
        waiting.shift();
      }
    } catch {
      return false; // tried again soon; the events are safe where they are
    }
  }

  /** Closes the file that is being written, so that it can be replayed; the next event opens another. */
  async function setAside(): Promise<void> {
    await creating?.catch(() => {});
    const file = current;
    current = undefined;
    if (file === undefined) return;
    await file.close().catch(() => {}); // after a failed write; what was acknowledged is in it all the same
    waiting.push({ path: file.path, events: file.lines(), bytes: file.bytes() });
  }

  /** The store that takes one batch takes new events too: the disk would never be empty if both went there. */
  function leaveOutage(): void {
    if (since === undefined) return;
    log('the database takes audit events again', { outageMillis: clock.now() - since });
    since = undefined;
  }

  async function replay(path: string): Promise<void> {
    for await (const lines of readSpoolFile(path, replayBatch)) {
      await restore(path, lines);
      leaveOutage();
    }
  }

  /** A batch that the store refuses for what it holds is halved until the bad events are alone; those are kept aside. */
  async function restore(path: string, lines: readonly string[]): Promise<void> {
    try {
      await store.restore(lines.map((line) => JSON.parse(line) as AuditEvent));
    } catch (error) {
      const isLinesFault = error instanceof SyntaxError || store.isEventsFault(error);
      if (!isLinesFault) throw error;
      if (lines.length > 1) {
        const half = Math.ceil(lines.length / 2);
        await restore(path, lines.slice(0, half));
        return await restore(path, lines.slice(half));
      }
      await keepAside(path, lines);
      log('an audit event that the database refuses was kept aside', { err: error, path: `${path}.refused` });
    }
  }

  async function keepAside(path: string, lines: readonly string[]): Promise<void> {
    const handle = await open(`${path}.refused`, 'a', 0o600);
    try {
      await handle.appendFile(`${lines.join('\n')}\n`);
      await handle.datasync();
    } finally {
      await handle.close();
    }
  }

  return {
    append,
    status: () => ({
      isSpooling: since !== undefined,
      ...sizeNow(),
      ...(since === undefined ? {} : { since }),
    }),
    ping: async () => {
      requireRoom();
      await access(folder, constants.W_OK);
    },
    drain,
    close: async () => {
      clearInterval(timer);
      if (since !== undefined || waiting.length > 0) await drain();
      await setAside();
    },
  };
}

/** What an earlier process could not bring into the store any more. */
async function filesLeftIn(folder: string): Promise<WaitingFile[]> {
  const names = (await readdir(folder)).filter((name) => spoolFilePattern.test(name)).sort();
  const files: WaitingFile[] = [];
  for (const name of names) {
    const path = join(folder, name);
    let events = 0;
    for await (const batch of readSpoolFile(path, replayBatch)) events += batch.length;
    files.push({ path, events, bytes: (await stat(path)).size });
  }
  return files;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
