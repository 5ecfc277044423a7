/** A probe's outcome in the Prometheus text format, for the textfile collector of node_exporter. */
import { rename } from 'node:fs/promises';
import type { CliDependencies } from '../dependencies.ts';
import { usageFailure } from '../exit.ts';
import type { ProbeRun } from './run.ts';

export function probeMetrics(run: ProbeRun, nowMillis: number): string {
  const { checks, certificateDaysLeft, clockSkewSeconds } = run;
  const labelled = (value: (check: ProbeRun['checks'][number]) => number) =>
    checks.map((check) => [`{check="${escapeLabel(check.check)}"}`, value(check)] as const);
  return [
    gauge('mintmark_probe_success', 'Whether all checks passed.', [
      ['', Number(checks.every(({ passed }) => passed))],
    ]),
    gauge(
      'mintmark_probe_check_success',
      'Whether the check passed.',
      labelled(({ passed }) => Number(passed)),
    ),
    gauge(
      'mintmark_probe_check_duration_seconds',
      'How long the check took.',
      labelled(({ durationMillis }) => durationMillis / 1000),
    ),
    gauge('mintmark_probe_last_run_timestamp_seconds', 'When the probe ended.', [
      ['', Math.floor(nowMillis / 1000)],
    ]),
    ...(certificateDaysLeft === undefined
      ? []
      : [
          gauge('mintmark_probe_certificate_days_left', 'Days that the TLS certificate is still valid.', [
            ['', certificateDaysLeft],
          ]),
        ]),
    ...(clockSkewSeconds === undefined
      ? []
      : [
          gauge('mintmark_probe_clock_skew_seconds', "How far the server's clock is ahead of the prober's.", [
            ['', clockSkewSeconds],
          ]),
        ]),
  ].join('');
}

/** In one step: the collector never reads half a file. */
export async function writeMetricsFile(
  { writeTextFile }: Pick<CliDependencies, 'writeTextFile'>,
  path: string,
  text: string,
): Promise<void> {
  const temporary = `${path}.tmp`; // the collector reads *.prom alone
  try {
    await writeTextFile(temporary, text);
    await rename(temporary, path);
  } catch {
    throw usageFailure(`the metrics cannot be written: ${path}`);
  }
}

function gauge(name: string, help: string, samples: readonly (readonly [string, number])[]): string {
  const lines = samples.map(([labels, value]) => `${name}${labels} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${lines.join('')}`;
}

function escapeLabel(text: string): string {
  return text.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n');
}
