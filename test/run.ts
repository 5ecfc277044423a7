/** `npm test`: all tests, on real servers. Its last line is `N passed, N failed`; its exit code is the runner's. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Programs that tests start, or a file without which they cannot, and the Debian packages that hold them. */
const backends = [
  { name: 'redis', program: 'redis-server', debianPackage: 'redis-server' },
  { name: 'nginx', program: 'nginx', debianPackage: 'nginx-light' },
  { name: 'openssl', program: 'openssl', debianPackage: 'openssl' },
  { name: 'curl', program: 'curl', debianPackage: 'curl' },
  { name: 'postgresql', program: 'pg_ctlcluster', debianPackage: 'postgresql' }, // pg_dump, and a server that it can dump
  { name: 'go', program: 'go', debianPackage: 'golang-go' },
  { name: 'promtool', program: 'promtool', debianPackage: 'prometheus' },
  { name: 'systemd', program: 'systemd-analyze', debianPackage: 'systemd' },
  {
    name: 'apache',
    program: '/usr/lib/apache2/modules/mod_oauth2.so', // brings httpd itself, and no service that would start
    debianPackage: 'libapache2-mod-oauth2',
  },
  { name: 'softhsm', program: 'softhsm2-util', debianPackage: 'softhsm2' }, // brings the library too
] as const;

const isPresent = (program: string) =>
  existsSync(program) ||
  spawnSync('sh', ['-c', `PATH="$PATH:/usr/sbin:/sbin" command -v ${program}`]).status === 0;

/** Installs what is missing where this is root on Debian; what cannot be installed is found missing afterwards. */
function install(packages: readonly string[]): void {
  if (packages.length === 0 || process.getuid?.() !== 0 || !isPresent('apt-get')) return;
  const options = {
    stdio: ['ignore', 2, 2] as ['ignore', number, number],
    timeout: 600_000,
    // Installing must not start a second server on the standard port.
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
  };
  const arguments_ = ['-y', '--no-install-recommends', 'install', ...packages];
  if (spawnSync('apt-get', arguments_, options).status === 0) return;
  spawnSync('apt-get', ['update'], options);
  spawnSync('apt-get', arguments_, options);
}

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[];
}

/** Counts of the report; a file that could not be loaded is one failure, and so is a run without a report. */
function count(reportFile: string, exitCode: number): { passed: number; failed: number } {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(reportFile, 'utf8'));
  } catch {
    return { passed: 0, failed: 1 };
  }
  const unloaded = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  ).length;
  const failed = report.numFailedTests + unloaded;
  // An error outside any test fails the run without failing a test.
  return { passed: report.numPassedTests, failed: exitCode === 0 ? failed : Math.max(failed, 1) };
}

install(backends.filter(({ program }) => !isPresent(program)).map(({ debianPackage }) => debianPackage));
const missing = backends.filter(({ program }) => !isPresent(program));
const folder = mkdtempSync(join(tmpdir(), 'mintmark-report-'));
const reportFile = join(folder, 'report.json');
const vitest = spawnSync(
  process.execPath,
  [
    join(import.meta.dirname, '../node_modules/vitest/vitest.mjs'),
    'run',
    ...['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`],
    ...process.argv.slice(2),
  ],
  {
    stdio: 'inherit',
    env: { ...process.env, MINTMARK_TEST_WITHOUT: missing.map(({ name }) => name).join(',') },
  },
);
const exitCode = vitest.status ?? 1;
const { passed, failed } = count(reportFile, exitCode);
rmSync(folder, { recursive: true });
for (const { name, debianPackage } of missing) console.log(`NOT RUN: ${name} (install ${debianPackage})`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = exitCode === 0 && (failed > 0 || missing.length > 0) ? 1 : exitCode;
