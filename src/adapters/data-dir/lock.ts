/** The lock of a folder: a file that names its holder, and counts for nothing once that process is gone. */
import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrno } from './private-file.ts';

interface Holder {
  readonly pid: number;
  /** Tells this process from a later one of the same number: when it started, on which boot. Empty where unknown. */
  readonly started: string;
  readonly nonce: string;
}

/** Longer than a challenger can be between judging a lock to be stale and replacing it. */
const settleMillis = 100;

export class FolderInUse extends Error {
  override readonly name = 'FolderInUse';
}

/** Rejects with `FolderInUse` where a process that is alive holds the folder. */
export async function lockFolder(folder: string): Promise<{ release(): Promise<void> }> {
  const file = join(folder, 'lock');
  const holder: Holder = { pid: process.pid, started: startOf(process.pid), nonce: randomUUID() };
  const mine = JSON.stringify(holder);
  const temporary = `${file}.${holder.nonce}`;
  writeFileSync(temporary, mine, { mode: 0o600, flag: 'wx' });
  try {
    linkSync(temporary, file);
    unlinkSync(temporary);
  } catch (error) {
    try {
      if (!isErrno(error, 'EEXIST')) throw error;
      refuseIfHeld(folder, file);
      renameSync(temporary, file);
    } catch (refusal) {
      unlinkSync(temporary);
      throw refusal;
    }
    // Two challengers of one stale lock: whoever replaced it last has it.
    await sleep(settleMillis);
    if (read(file) !== mine) {
      refuseIfHeld(folder, file);
      throw new FolderInUse(`${folder} was taken by another process while this one started: start it again`);
    }
  }
  return {
    release: async () => {
      if (read(file) === mine) unlinkSync(file);
    },
  };
}

function refuseIfHeld(folder: string, file: string): void {
  const holder = parse(read(file));
  if (holder === undefined || !isAlive(holder)) return;
  throw new FolderInUse(
    `${folder} is in use by process ${holder.pid}: stop it first, or give this one another folder`,
  );
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function parse(text: string | undefined): Holder | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '');
    if (typeof value !== 'object' || value === null || !('pid' in value) || !('started' in value)) {
      return undefined;
    }
    const { pid, started } = value;
    if (typeof pid !== 'number' || pid <= 0 || typeof started !== 'string') return undefined;
    return { pid, started, nonce: '' };
  } catch {
    return undefined;
  }
}

function isAlive({ pid, started }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (isErrno(error, 'ESRCH')) return false;
  }
  return startOf(pid) === started;
}

/** The boot and the clock tick at which a process began (proc(5)); empty off Linux, where the number alone decides. */
function startOf(pid: number): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in brackets and may hold spaces; the start time is the 20th after it.
    const ticks = fields.slice(fields.lastIndexOf(')') + 2).split(' ')[19];
    return `${boot} ${ticks}`;
  } catch {
    return '';
  }
}
