/** `mintmark test`: runs the PolicyTest documents of policy files on the policy beside them, without a server. */
import { runPolicyTests } from '../../core/run-policy-tests.ts';
import { compilePolicyFiles, type PolicyFilesOptions } from '../compile-policy-files.ts';
import type { CliDependencies } from '../dependencies.ts';
import { type ExitCode, exitCodes, usageFailure } from '../exit.ts';
import { createPaint, plain, plainJson } from '../paint.ts';
import { hasPassed, jsonReport, junitReport, printCoverage, printRun } from '../test-report.ts';

export interface TestOptions extends PolicyFilesOptions {
  /** `junit=FILE` and `json=FILE`. */
  readonly report: readonly string[];
  readonly coverage?: boolean;
  /** A percentage, as it was written. */
  readonly coverageMin?: string;
  readonly json?: boolean;
}

/** Exit code 0 where all cases pass and enough is covered, 1 where not, 2 where there is no test. */
export async function test(dependencies: CliDependencies, options: TestOptions): Promise<ExitCode> {
  const { out, err, environment } = dependencies;
  const reports = options.report.map(readReport);
  const leastPercent = readPercent(options.coverageMin);
  const { policy, tests, context } = await compilePolicyFiles(dependencies, options);
  if (tests.length === 0) {
    // A pipeline whose path is wrong must not look as if all were well.
    throw usageFailure(`there is no PolicyTest in ${options.file.join(', ')}`);
  }
  const run = runPolicyTests(tests, policy, dependencies.createSuppose(context), dependencies.nowMillis());
  for (const { format, path } of reports) {
    const text = format === 'junit' ? junitReport(run) : `${plainJson(jsonReport(run))}\n`;
    await dependencies.writeTextFile(path, text).catch(() => {
      throw usageFailure(`the report cannot be written: ${path}`);
    });
  }
  const paint = createPaint(out.isTerminal, environment);
  const { coverage } = run;
  if (options.json) out.write(`${plainJson(jsonReport(run))}\n`);
  else {
    out.write(printRun(run, paint));
    if (options.coverage || leastPercent !== undefined) out.write(printCoverage(coverage, paint));
  }
  const isCovered = leastPercent === undefined || coverage.percent >= leastPercent;
  if (!isCovered) err.write(`${plain(`coverage is ${coverage.percent} %, below ${leastPercent} %`)}\n`);
  return isCovered && run.cases.every(hasPassed) ? exitCodes.done : exitCodes.refused;
}

function readReport(text: string): { readonly format: 'junit' | 'json'; readonly path: string } {
  const [, format, path] = /^(junit|json)=(.+)$/.exec(text) ?? [];
  if ((format !== 'junit' && format !== 'json') || path === undefined) {
    throw usageFailure(`--report takes junit=FILE or json=FILE, not ${text}`);
  }
  return { format, path };
}

function readPercent(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const percent = Number(text);
  if (/^\d{1,3}$/.test(text) && percent <= 100) return percent;
  throw usageFailure(`--coverage-min takes a whole number up to 100, not ${text}`);
}
