/** `mintmark doctor`: whether a server could run well in this environment. It changes nothing. */
import { X509Certificate } from 'node:crypto';
import { access, constants, stat, statfs } from 'node:fs/promises';
import { openLogger } from './adapters/log/logger.ts';
import { diagnosePostgres } from './adapters/postgres/diagnose.ts';
import { diagnoseRedis } from './adapters/redis/diagnose.ts';
import { unwrap } from './adapters/software-keys/wrap.ts';
import type { CheckResult } from './cli/check-report.ts';
import { type Config, ConfigRefused, readConfig } from './config.ts';
import { paths } from './core/discovery.ts';
import type { Clock } from './core/ports.ts';
import { openStores } from './stores.ts';

const maxSkewMillis = 5_000;
const leastFreeBytes = 1024 ** 3;
const leastCertificateDays = 14;
const dayMillis = 86_400_000;
const timeoutMillis = 5_000;

type Finding = Omit<CheckResult, 'check'>;

/** Never rejects for what it finds. Details name hosts and users, never a password, key or token. */
export async function examine(environment: NodeJS.ProcessEnv, clock: Clock): Promise<readonly CheckResult[]> {
  const config = readOrProblems(environment);
  if (Array.isArray(config)) return config;
  const looks: readonly (readonly [string, (() => Promise<Finding>) | undefined])[] = [
    ['configuration', async () => fine(`issuer ${config.issuer}`)],
    ['data folder', () => lookAtDataDir(config)],
    ['PostgreSQL', config.databaseUrl && (() => lookAtPostgres(String(config.databaseUrl?.reveal()), clock))],
    ['schema and keys', config.databaseUrl && (() => lookAtKeys(config, clock))],
    [
      'exchange role',
      config.exchangeDatabaseUrl && (() => lookAtExchangeRole(String(config.exchangeDatabaseUrl?.reveal()))),
    ],
    ['Redis', config.redisUrl && (() => lookAtRedis(String(config.redisUrl?.reveal()), clock))],
    [
      'TLS certificate',
      config.tls && (async () => lookAtCertificate(String(config.tls?.certificate), clock)),
    ],
    ['issuer', () => lookAtIssuer(config.issuer)],
  ];
  const results = await Promise.all(
    looks.map(async ([check, look]) =>
      look === undefined ? [] : [{ check, ...(await look().catch(away)) }],
    ),
  );
  return results.flat();
}

function readOrProblems(environment: NodeJS.ProcessEnv): Config | CheckResult[] {
  try {
    return readConfig(environment);
  } catch (error) {
    if (!(error instanceof ConfigRefused)) throw error;
    const advice = 'docs/configuration.md says what each setting takes';
    return error.problems.map((detail) => ({ check: 'configuration', passed: false, detail, advice }));
  }
}

function fine(detail: string): Finding {
  return { passed: true, detail };
}

function wrong(detail: string, advice: string): Finding {
  return { passed: false, detail, advice };
}

/** Only the code: a driver's message may quote the URL, and with it a password. */
function away(error: unknown): Finding {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'no answer';
  return wrong(`cannot be asked (${code})`, 'check that it runs, its address, and what stands between');
}

async function lookAtDataDir({ dataDir }: Config): Promise<Finding> {
  const found = await stat(dataDir).catch(() => undefined);
  if (found === undefined) return fine(`${dataDir} is not there yet: the server makes it`);
  if (!found.isDirectory()) return wrong(`${dataDir} is no folder`, 'point MINTMARK_DATA_DIR at a folder');
  const mode = found.mode & 0o777;
  if ((mode & 0o077) !== 0)
    return wrong(`${dataDir} is open to others (${mode.toString(8)})`, `chmod 0700 ${dataDir}`);
  const isWritable = await access(dataDir, constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!isWritable) return wrong(`${dataDir} cannot be written`, 'let it belong to the user of the server');
  const { bavail, bsize } = await statfs(dataDir);
  const free = `${Math.floor((bavail * bsize) / 1024 ** 2)} MiB free`;
  if (bavail * bsize < leastFreeBytes)
    return wrong(free, 'make room: the audit is kept here while PostgreSQL is away');
  return fine(`${dataDir}, ${free}`);
}

async function lookAtPostgres(url: string, clock: Clock): Promise<Finding> {
  const { version, user, nowMillis, canAppendAudit } = await diagnosePostgres(url);
  if (!canAppendAudit)
    return wrong(`${user} may not append to the audit`, 'connect as the owner of the tables');
  return withClock(`version ${version}, as ${user}`, nowMillis, clock);
}

async function lookAtKeys(config: Config, clock: Clock): Promise<Finding> {
  const logger = openLogger({ level: 'silent' });
  const stores = await openStores({ ...config, auditOnOutage: 'deny' }, undefined, clock, logger).catch(
    (error: unknown) => (error instanceof Error ? error : new Error('unknown')),
  );
  if (stores instanceof Error)
    return wrong('the schema is behind, or cannot be read', 'run mintmark migrate');
  try {
    const keys = await stores.keys.list();
    const { keyEncryptionKey } = config;
    for (const { kid, algorithm, wrappedPrivateKey } of keys) {
      if (keyEncryptionKey === undefined || wrappedPrivateKey === undefined) continue;
      try {
        unwrap(wrappedPrivateKey, keyEncryptionKey, { kid, algorithm });
      } catch {
        return wrong(
          `key ${kid} does not open`,
          'give the MINTMARK_KEY_ENCRYPTION_KEY that it was stored with',
        );
      }
    }
    return fine(`schema at head, ${keys.length} keys open`);
  } finally {
    await stores.close();
  }
}

async function lookAtExchangeRole(url: string): Promise<Finding> {
  const { user, canReadAudit, canAppendAudit } = await diagnosePostgres(url);
  if (canAppendAudit && !canReadAudit) return fine(`${user} appends to the audit and cannot read it`);
  return wrong(
    canReadAudit ? `${user} can read the audit` : `${user} may not append to the audit`,
    'run deploy/exchange-role.sql again, and connect as the role that it makes',
  );
}

async function lookAtRedis(url: string, clock: Clock): Promise<Finding> {
  const { evictionPolicy, nowMillis } = await diagnoseRedis(url);
  if (evictionPolicy !== undefined && evictionPolicy !== 'noeviction') {
    return wrong(
      `maxmemory-policy is ${evictionPolicy}: a claim that is evicted lets a credential in twice`,
      'set maxmemory-policy noeviction',
    );
  }
  return withClock(`maxmemory-policy ${evictionPolicy ?? 'not told to this user'}`, nowMillis, clock);
}

function withClock(detail: string, theirMillis: number, clock: Clock): Finding {
  const skewMillis = Math.round(theirMillis - clock.now());
  if (Math.abs(skewMillis) <= maxSkewMillis) return fine(`${detail}, clock within ${maxSkewMillis / 1000} s`);
  return wrong(`its clock is ${skewMillis} ms from ours`, 'let both machines follow one time source');
}

function lookAtCertificate(certificate: string, clock: Clock): Finding {
  const days = (Date.parse(new X509Certificate(certificate).validTo) - clock.now()) / dayMillis;
  const detail = `matches its key, ${Math.floor(days)} days left`;
  return days >= leastCertificateDays
    ? fine(detail)
    : wrong(detail, 'renew it; the server reads the files again');
}

async function lookAtIssuer(issuer: string): Promise<Finding> {
  const url = `${issuer}${paths.openidConfiguration}`;
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(timeoutMillis) }).catch(
    () => undefined,
  );
  const body: unknown = await response?.json().catch(() => undefined);
  const isOurs = typeof body === 'object' && body !== null && 'issuer' in body && body.issuer === issuer;
  if (isOurs) return fine('answers as this issuer');
  return wrong(
    response === undefined ? 'nobody answers there' : 'somebody else answers there',
    'start the server, then check DNS and the proxy: verifiers find our keys there',
  );
}
