/**
 * `npm run bench`: exchanges a second at 32 connections, ES256 JWT-SVID in, ES256 access token out, durable audit on a real
 * PostgreSQL, 1,000 grants; beside the bare floor, interleaved in one run, so that ratios mean something on a noisy machine.
 * BENCH_REUSE=5m: tokens are reused while so much of them is left. BENCH_HSM=1: signing keys in SoftHSM.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { startPostgres } from '../test/support/postgres.ts';
import { freePort, startServer } from '../test/support/server.ts';
import { makeSoftHsm } from '../test/support/softhsm.ts';
import { cpuMicrosOf } from './cpu.ts';

const connections = 32;
const rounds = Number(process.env.BENCH_ROUNDS ?? 5);
const secondsPerRound = Number(process.env.BENCH_SECONDS ?? 6);
const svidCount = 4_000;
const grantCount = Number(process.env.BENCH_GRANTS ?? 1_000);
const reuse = process.env.BENCH_REUSE;

interface Round {
  readonly label: string;
  readonly perSecond: number;
  readonly permitted: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
  readonly cpuMicros: number;
}

interface Subject {
  readonly label: string;
  readonly url: string;
  readonly pid: number;
}

const folder = mkdtempSync(join(tmpdir(), 'mintmark-bench-'));
const { publicKey, privateKey } = await generateKeyPair('ES256');
const jwk = { ...(await exportJWK(publicKey)), kid: 'svid', alg: 'ES256', use: 'jwt-svid' };

const postgres = await startPostgres();
const hsm = process.env.BENCH_HSM === undefined ? undefined : await makeSoftHsm();
const server = await startServer({
  policy: benchPolicy,
  environment: {
    DATABASE_URL: await migratedDatabase(),
    MINTMARK_KEY_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
    ...hsm?.environment,
  },
});
const floor = await startFloor();

try {
  await writeBodies(join(folder, 'mintmark'), server.url);
  const subjects: Subject[] = [
    { label: 'bare floor', url: floor.url, pid: floor.pid },
    { label: 'mintmark', url: server.url, pid: server.process.pid ?? 0 },
  ];
  await runLoad(subjects[0], 2);
  await runLoad(subjects[1], 2);
  const results: Round[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const subject of round % 2 === 0 ? subjects : subjects.toReversed()) {
      results.push(await runLoad(subject, secondsPerRound));
    }
  }
  report(results);
} finally {
  floor.stop();
  await server.remove();
  hsm?.remove();
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function migratedDatabase(): Promise<string> {
  const url = await postgres.createDatabase();
  const migrating = spawn(process.execPath, ['src/cli/mintmark.ts', 'migrate'], {
    env: {
      PATH: process.env.PATH ?? '',
      DATABASE_URL: url,
      MINTMARK_KEY_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = await once(migrating, 'exit');
  if (code !== 0) throw new Error('migration failed');
  return url;
}

function benchPolicy(): string {
  const grants = Array.from({ length: grantCount }, (_, index) => ({
    apiVersion: 'mintmark/v1',
    kind: 'Grant',
    metadata: { name: `grant-${index}` },
    spec: {
      subjects: [{ spiffeId: `spiffe://bench.test/workload-${index}` }],
      resource: 'alpha',
      scopes: ['read', 'write'],
    },
  }));
  return JSON.stringify([
    {
      apiVersion: 'mintmark/v1',
      kind: 'TrustDomain',
      metadata: { name: 'bench.test' },
      spec: { bundle: { static: { keys: [jwk] } } },
    },
    {
      apiVersion: 'mintmark/v1',
      kind: 'Resource',
      metadata: { name: 'alpha' },
      spec: {
        audience: 'https://alpha.test',
        scopes: ['read', 'write'],
        ...(reuse === undefined ? {} : { reuse: { minRemaining: reuse } }),
      },
    },
    ...grants,
  ]);
}

/** SVIDs are minted before the run, each a different token. */
async function writeBodies(path: string, issuer: string): Promise<void> {
  const now = Math.floor(Date.now() / 1000);
  const bodies = await Promise.all(
    Array.from({ length: svidCount }, async (_, index) => {
      const svid = await new SignJWT({})
        .setProtectedHeader({ alg: 'ES256', kid: 'svid', typ: 'JWT' })
        .setSubject(`spiffe://bench.test/workload-${index % grantCount}`)
        .setAudience(issuer)
        .setIssuedAt(now - (index % 60))
        .setExpirationTime(now + 3600)
        .sign(privateKey);
      return new URLSearchParams({
        grant_type: 'client_credentials',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
        client_assertion: svid,
        audience: 'https://alpha.test',
        scope: 'read',
      }).toString();
    }),
  );
  writeFileSync(path, `${bodies.join('\n')}\n`);
}

async function startFloor() {
  const port = await freePort();
  const child = spawn(process.execPath, ['bench/floor.ts', JSON.stringify(jwk), String(port)], {
    stdio: 'inherit',
  });
  const url = `http://127.0.0.1:${port}`;
  while (!(await fetch(`${url}/healthz`).catch(() => undefined))?.ok) await sleep(50);
  return { url, pid: child.pid ?? 0, stop: () => child.kill() };
}

async function runLoad(subject: Subject | undefined, seconds: number): Promise<Round> {
  if (!subject) throw new Error('nothing to measure');
  const before = cpuMicrosOf(subject.pid);
  const load = spawn(
    process.execPath,
    [
      'bench/load.ts',
      subject.url,
      join(folder, 'mintmark'),
      String(connections),
      String(seconds),
      subject.label,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let output = '';
  load.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await once(load, 'close');
  const round = JSON.parse(output) as Omit<Round, 'cpuMicros'>;
  return { ...round, cpuMicros: (cpuMicrosOf(subject.pid) - before) / Math.max(1, round.permitted) };
}

function report(results: readonly Round[]): void {
  const of = (label: string, figure: (round: Round) => number) =>
    median(results.filter((round) => round.label === label).map(figure));
  const floorRate = of('bare floor', (round) => round.perSecond);
  console.log(`\n${'subject'.padEnd(14)}  ratio   exch/s   p50 ms   p99 ms   CPU µs/exch   failed`);
  for (const label of ['bare floor', 'mintmark']) {
    const failed = results
      .filter((round) => round.label === label)
      .reduce((sum, round) => sum + round.failed, 0);
    const cells = [
      (of(label, (round) => round.perSecond) / floorRate).toFixed(2).padStart(5),
      of(label, (round) => round.perSecond)
        .toFixed(0)
        .padStart(7),
      of(label, (round) => round.p50)
        .toFixed(1)
        .padStart(7),
      of(label, (round) => round.p99)
        .toFixed(1)
        .padStart(7),
      of(label, (round) => round.cpuMicros)
        .toFixed(0)
        .padStart(12),
      String(failed).padStart(7),
    ];
    console.log(`${label.padEnd(14)}  ${cells.join('  ')}`);
  }
  const processor =
    /model name\s*: (.+)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown processor';
  console.log(
    `\nmedians of ${rounds} interleaved rounds of ${secondsPerRound} s, ${connections} connections, ${grantCount} grants, ` +
      `${reuse === undefined ? '' : `reuse above ${reuse}, `}` +
      `audit on PostgreSQL; ${cpus().length} × ${processor}, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}`,
  );
}

function median(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
