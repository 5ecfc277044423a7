/** CPU time of a process, as Linux counts it. */
import { readFileSync } from 'node:fs';

const microsPerTick = 10_000; // USER_HZ is 100 on every Linux that we run on

/** User and system time of all its threads since it started, in microseconds. */
export function cpuMicrosOf(pid: number): number {
  const afterName = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1] ?? '';
  const fields = afterName.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * microsPerTick; // utime and stime, proc_pid_stat(5)
}
