/** What `mintmark test` found, for people, for pipelines that read JUnit's XML, and as JSON. */
import type { CaseResult, Coverage, Difference, TestRun } from '../core/run-policy-tests.ts';
import { type Paint, plain } from './paint.ts';
import { sentenceOf } from './reason-sentences.ts';

const maxGrantsNamed = 8;

export function hasPassed({ differences }: CaseResult): boolean {
  return differences.length === 0;
}

/** Ends with a newline. */
export function printRun({ cases }: TestRun, paint: Paint): string {
  const lines = cases.flatMap((result) => {
    const mark = hasPassed(result) ? paint('green', '✓') : paint('red', '✗');
    const place = hasPassed(result) ? '' : paint('dim', ` (${plain(placeOf(result.file, result.line))})`);
    return [
      `${mark} ${plain(`${result.test}: ${result.name}`)}${place}`,
      ...explainFailure(result).map((line) => `    ${plain(line)}`),
    ];
  });
  const failed = cases.filter((result) => !hasPassed(result)).length;
  return `${[...lines, paint('bold', `${cases.length - failed} passed, ${failed} failed`)].join('\n')}\n`;
}

/** Ends with a newline. */
export function printCoverage({ percent, grants, issuers }: Coverage, paint: Paint): string {
  const used = ({ total, missing }: Coverage['grants']) => `${total - missing.length} of ${total}`;
  const summary = `coverage ${percent} %: ${used(grants)} grants, ${used(issuers)} issuers`;
  const missing = [
    ...grants.missing.map((name) => `Grant/${name}`),
    ...issuers.missing.map((name) => `Issuer/${name}`),
  ];
  const lines = missing.map(
    (label) => `${paint('yellow', '○')} ${plain(label)}: no test gets anything by it`,
  );
  return `${[...lines, paint('bold', summary)].join('\n')}\n`;
}

/** Nothing where it passed: what differs and where, then why the policy decides so. */
function explainFailure(result: CaseResult): readonly string[] {
  if (hasPassed(result)) return [];
  const { differences, reason, detail, grants, file } = result;
  const failures = grants.flatMap(({ grant, failed }) =>
    failed === undefined
      ? []
      : [`Grant/${grant}: ${failed.check}: expected ${failed.expected}, actual ${failed.actual}`],
  );
  return [
    ...differences.map((difference) => describeDifference(difference, file)),
    ...(reason === undefined ? [] : [`${reason}: ${sentenceOf(reason)}`]),
    ...(detail === undefined ? [] : [detail]),
    ...failures.slice(0, maxGrantsNamed),
  ];
}

function describeDifference({ field, line, expected, actual }: Difference, file: string | undefined): string {
  return `${placeOf(file, line)}: ${field}: expected ${expected}, actual ${actual}`;
}

function placeOf(file: string | undefined, line: number | undefined): string {
  return [file ?? 'policy', line].filter((part) => part !== undefined).join(':');
}

/** The XML that JUnit's Ant task writes, a suite for each PolicyTest. */
export function junitReport({ cases }: TestRun): string {
  const suites = [...Map.groupBy(cases, ({ test }) => test)].map(([test, results]) => {
    const inner = results.map(
      (result) =>
        `    <testcase${attributes({ classname: `PolicyTest/${test}`, name: result.name, file: result.file, line: result.line })}>${failureElement(result)}</testcase>\n`,
    );
    return `  <testsuite${attributes({ name: test, ...counts(results) })}>\n${inner.join('')}  </testsuite>\n`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites${attributes({ name: 'mintmark', ...counts(cases) })}>\n${suites.join('')}</testsuites>\n`;
}

function failureElement(result: CaseResult): string {
  const [message, ...rest] = explainFailure(result);
  if (message === undefined) return '';
  return `<failure${attributes({ message })}>${escapeXml([message, ...rest].join('\n'))}</failure>`;
}

function counts(cases: readonly CaseResult[]) {
  return { tests: cases.length, failures: cases.filter((result) => !hasPassed(result)).length, errors: 0 };
}

function attributes(values: Readonly<Record<string, string | number | undefined>>): string {
  return Object.entries(values)
    .map(([name, value]) => (value === undefined ? '' : ` ${name}="${escapeXml(String(value))}"`))
    .join('');
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** XML 1.0 §2.2 has no way to write most control characters and half a surrogate pair. */
function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\p{Cc}\ufffe\uffff]/gu, (character) => (character === '\n' ? character : '\ufffd'))
    .replace(/[&<>"']/g, (character) => entities[character] ?? '');
}

/** One object, for `--json` and `--report json=FILE`. */
export function jsonReport({ cases, coverage }: TestRun) {
  const { tests, failures } = counts(cases);
  return {
    passed: tests - failures,
    failed: failures,
    cases: cases.map((result) => ({ ...result, passed: hasPassed(result) })),
    coverage,
  };
}
