/** `mintmark probe`: asks a live deployment for what it must give and for what it must refuse, once or again and again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { checksReport, printChecks } from '../check-report.ts';
import type { CliDependencies } from '../dependencies.ts';
import { type ExitCode, exitCodes, usageFailure } from '../exit.ts';
import { createPaint, plainJson } from '../paint.ts';
import { obtainCredential } from '../platform-credential.ts';
import { probeMetrics, writeMetricsFile } from '../probe/metrics-file.ts';
import { type ProbePlan, type ProbePlanOptions, readProbePlan } from '../probe/plan.ts';
import { runProbe } from '../probe/run.ts';
import { readServerUrl } from '../server.ts';

export interface ProbeOptions extends ProbePlanOptions {
  /** A file that is written after each run. */
  readonly metrics?: string;
  /** Seconds between the ends and beginnings of runs, as it was written. */
  readonly interval?: string;
  readonly json?: boolean;
}

/** A run causes up to a dozen refusals, and a server answers few of one address in a minute. */
const leastIntervalSeconds = 15;

/** Exit code 0 where every check passed, 1 where not. With `interval` it ends by a signal only. */
export async function probe(dependencies: CliDependencies, options: ProbeOptions): Promise<ExitCode> {
  const url = readServerUrl(dependencies);
  const plan = await readProbePlan(dependencies, options);
  const intervalSeconds = readInterval(options.interval);
  for (;;) {
    const exitCode = await probeOnce(dependencies, options, url, plan);
    if (intervalSeconds === undefined) return exitCode;
    await sleep(intervalSeconds * 1000);
  }
}

async function probeOnce(
  dependencies: CliDependencies,
  { metrics, json }: ProbeOptions,
  url: string,
  plan: ProbePlan,
): Promise<ExitCode> {
  const { out, environment, nowMillis } = dependencies;
  const run = await runProbe(dependencies, url, plan, (exchange) => obtainCredential(dependencies, exchange));
  if (metrics !== undefined) await writeMetricsFile(dependencies, metrics, probeMetrics(run, nowMillis()));
  const { checks, ...measured } = run;
  if (json) out.write(`${plainJson({ url, at: nowMillis(), ...measured, ...checksReport(checks) })}\n`);
  else out.write(printChecks(checks, createPaint(out.isTerminal, environment)));
  return checks.every(({ passed }) => passed) ? exitCodes.done : exitCodes.refused;
}

function readInterval(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (/^\d{1,5}$/.test(text) && seconds >= leastIntervalSeconds) return seconds;
  throw usageFailure(`--interval takes a whole number of seconds from ${leastIntervalSeconds}, not ${text}`);
}
