/** The environment → one frozen Config. Every problem is reported at once, and an unknown `MINTMARK_*` name is one. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { z } from 'zod';
import { type KeyLife, keyLifeProblems } from './core/key-life.ts';
import { durationSchema } from './core/policy/document.ts';
import { Secret } from './core/secret.ts';
import { isTrustDomainName } from './core/spiffe-id.ts';
import { type Pkcs11Settings, readPkcs11Settings } from './pkcs11-settings.ts';
import { readSpiffeEndpoint, type SpiffeEndpoint } from './spiffe-endpoint-files.ts';
import { readTlsSettings, type TlsSettings } from './tls-files.ts';

export interface Config {
  readonly issuer: string;
  readonly trustDomain: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** undefined: PGlite in the data folder. */
  readonly databaseUrl: Secret<string> | undefined;
  readonly exchangeDatabaseUrl: Secret<string> | undefined;
  readonly redisUrl: Secret<string> | undefined;
  readonly dataDir: string;
  /** What happens to an attempt whose event the database does not take. */
  readonly auditOnOutage: 'spool' | 'deny';
  readonly policyPath: string | undefined;
  /** undefined: generated in the data folder. */
  readonly keyEncryptionKey: Secret<Uint8Array> | undefined;
  /** What is wrapped or sealed under it is read still, while another takes its place. */
  readonly previousKeyEncryptionKey: Secret<Uint8Array> | undefined;
  readonly keyLife: KeyLife;
  /** The token that signing keys live in; undefined: they are held in software. */
  readonly pkcs11: Pkcs11Settings | undefined;
  /** `off` switches it off; undefined: generated in the data folder where the store is embedded, else none. */
  readonly adminToken: Secret<string> | 'off' | undefined;
  readonly trustedProxies: readonly string[];
  /** Which header of theirs holds a client's certificate; undefined: none. */
  readonly certificateHeader: (typeof certificateHeaders)[number] | undefined;
  /** Undefined: no traces. */
  readonly traces: { readonly endpoint: string; readonly sampledShare: number } | undefined;
  /** Undefined: TLS ends at a proxy, or nowhere. */
  readonly tls: TlsSettings | undefined;
  /** Undefined: the bundle is served beside all else alone. */
  readonly spiffeEndpoint: SpiffeEndpoint | undefined;
}

export class ConfigRefused extends Error {
  override readonly name = 'ConfigRefused';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`configuration refused:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/** Kubernetes injects these for a Service named `mintmark`; they are not ours. */
const injectedByKubernetes = /^MINTMARK_(PORT|SERVICE)(_|$)/;
const certificateHeaders = ['client-cert', 'xfcc', 'nginx', 'alb'] as const;
const minAdminTokenLength = 32;
const keyEncryptionKeyBytes = 32;

const addressSchema = z.string().transform((text, context) => {
  const match = /^(?:\[(?<v6>[0-9a-f:.]+)\]|(?<host>[^:[\]\s]+)):(?<port>\d{1,5})$/i.exec(text);
  const port = Number(match?.groups?.port);
  const host = match?.groups?.v6 ?? match?.groups?.host;
  if (host !== undefined && port <= 65_535) return { host, port };
  context.addIssue({ code: 'custom', message: 'is not host:port, such as 127.0.0.1:8080 or [::]:8080' });
  return z.NEVER;
});

const issuerSchema = z
  .string()
  .optional()
  .superRefine((text, context) => {
    const problem = text === undefined ? undefined : issuerProblem(text);
    if (problem) context.addIssue({ code: 'custom', message: problem });
  });

const trustDomainSchema = z
  .string()
  .refine(isTrustDomainName, 'is not a SPIFFE trust domain name')
  .optional();

const urlSchema = (...schemes: readonly string[]) =>
  z
    .string()
    .refine(
      (text) => URL.canParse(text) && schemes.includes(new URL(text).protocol),
      `is not a URL of the form ${schemes.map((scheme) => `${scheme}//…`).join(' or ')}`,
    )
    .transform((text) => new Secret(text))
    .optional();

const proxiesSchema = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean),
  )
  .refine(
    (addresses) => addresses.every(isAddressOrRange),
    'is not a comma-separated list of IP addresses or CIDR ranges',
  );

const keySchema = z
  .string()
  .transform((text, context) => {
    const bytes = Buffer.from(text, /^[0-9a-f]{64}$/i.test(text) ? 'hex' : 'base64');
    if (bytes.length === keyEncryptionKeyBytes) return new Secret(new Uint8Array(bytes));
    context.addIssue({
      code: 'custom',
      message: 'is not 32 bytes in base64 or hex (openssl rand -base64 32)',
    });
    return z.NEVER;
  })
  .optional();

const adminTokenSchema = z
  .string()
  .refine(
    (text) => text === 'off' || text.length >= minAdminTokenLength,
    `is shorter than ${minAdminTokenLength} characters (openssl rand -hex 32), and is not "off"`,
  )
  .transform((text) => (text === 'off' ? ('off' as const) : new Secret(text)))
  .optional();

const shareSchema = z
  .string()
  .regex(/^(?:0|1|[01]\.\d+)$/, 'is not a number from 0 to 1')
  .default('1')
  .transform(Number)
  .refine((share) => share <= 1, 'is not a number from 0 to 1');

const environmentSchema = z.object({
  MINTMARK_ISSUER: issuerSchema,
  MINTMARK_TRUST_DOMAIN: trustDomainSchema,
  MINTMARK_LISTEN: addressSchema.prefault('127.0.0.1:8080'),
  DATABASE_URL: urlSchema('postgres:', 'postgresql:'),
  MINTMARK_EXCHANGE_DATABASE_URL: urlSchema('postgres:', 'postgresql:'),
  REDIS_URL: urlSchema('redis:', 'rediss:'),
  OTEL_EXPORTER_OTLP_ENDPOINT: urlSchema('http:', 'https:'),
  OTEL_TRACES_SAMPLER_ARG: shareSchema,
  MINTMARK_DATA_DIR: z.string().default('.mintmark'),
  MINTMARK_AUDIT_ON_OUTAGE: z.enum(['spool', 'deny'], 'is neither spool nor deny').optional(),
  MINTMARK_POLICY: z.string().optional(),
  MINTMARK_KEY_ENCRYPTION_KEY: keySchema,
  MINTMARK_PREVIOUS_KEY_ENCRYPTION_KEY: keySchema,
  MINTMARK_KEY_ROTATION: durationSchema.default(30 * 86_400),
  MINTMARK_KEY_PREPUBLISH: durationSchema.default(86_400),
  MINTMARK_KEY_RETENTION: durationSchema.default(2 * 86_400),
  MINTMARK_PKCS11_MODULE: z.string().optional(),
  MINTMARK_PKCS11_TOKEN_LABEL: z.string().optional(),
  MINTMARK_PKCS11_PIN_FILE: z.string().optional(),
  MINTMARK_PKCS11_SESSIONS: z
    .string()
    .regex(/^([1-9]|[1-5]\d|6[0-4])$/, 'is not a number from 1 to 64')
    .transform(Number)
    .optional(),
  MINTMARK_ADMIN_TOKEN: adminTokenSchema,
  MINTMARK_TRUSTED_PROXIES: proxiesSchema,
  MINTMARK_CLIENT_CERT_HEADER: z
    .enum(certificateHeaders, `is not one of ${certificateHeaders.join(', ')}`)
    .optional(),
  MINTMARK_TLS_CERT: z.string().optional(),
  MINTMARK_TLS_KEY: z.string().optional(),
  MINTMARK_SPIFFE_BUNDLE_LISTEN: addressSchema.optional(),
  MINTMARK_SPIFFE_BUNDLE_CERT: z.string().optional(),
  MINTMARK_SPIFFE_BUNDLE_KEY: z.string().optional(),
  MINTMARK_SPIFFE_BUNDLE_ROOTS: z.string().optional(),
});

/** Names that may also be given as a file, by `…_FILE`. */
const fileNames = [
  'MINTMARK_KEY_ENCRYPTION_KEY',
  'MINTMARK_PREVIOUS_KEY_ENCRYPTION_KEY',
  'MINTMARK_ADMIN_TOKEN',
] as const;
/** Read by the commands that talk to a server, not by the server. */
const clientNames = ['MINTMARK_URL', 'MINTMARK_TOKEN', 'MINTMARK_TOKEN_FILE'];
const knownNames = new Set([
  ...Object.keys(environmentSchema.shape),
  ...fileNames.map((name) => `${name}_FILE`),
  ...clientNames,
]);

/** Throws `ConfigRefused` with every problem. Values never appear in a message: some are secrets. */
export function readConfig(environment: NodeJS.ProcessEnv): Config {
  const problems = Object.keys(environment)
    .filter(
      (name) => name.startsWith('MINTMARK_') && !injectedByKubernetes.test(name) && !knownNames.has(name),
    )
    .map((name) => `${name}: is not a setting of this version`);

  const given: NodeJS.ProcessEnv = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== ''), // an empty variable counts as unset
  );
  for (const name of fileNames) readFromFile(name, given, problems);

  const parsed = environmentSchema.safeParse(given);
  if (!parsed.success) {
    problems.push(...parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
    throw new ConfigRefused(problems);
  }
  const values = parsed.data;
  const { host, port } = values.MINTMARK_LISTEN;
  const issuer =
    values.MINTMARK_ISSUER ??
    `${values.MINTMARK_TLS_CERT ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  if (values.MINTMARK_ISSUER === undefined && !isLoopback(new URL(issuer).hostname)) {
    problems.push('MINTMARK_ISSUER: is required when MINTMARK_LISTEN is not a loopback address');
  }
  const trustDomain = values.MINTMARK_TRUST_DOMAIN ?? new URL(issuer).hostname;
  if (!isTrustDomainName(trustDomain)) {
    problems.push('MINTMARK_TRUST_DOMAIN: is required, since the issuer has no host name that can be one');
  }
  if (values.DATABASE_URL !== undefined && values.MINTMARK_KEY_ENCRYPTION_KEY === undefined) {
    problems.push(
      'MINTMARK_KEY_ENCRYPTION_KEY: is required with DATABASE_URL, so that replicas share signing keys',
    );
  }
  const { MINTMARK_KEY_ENCRYPTION_KEY: keyEncryptionKey, MINTMARK_PREVIOUS_KEY_ENCRYPTION_KEY: previousKey } =
    values;
  if (previousKey !== undefined && keyEncryptionKey === undefined) {
    problems.push(
      'MINTMARK_PREVIOUS_KEY_ENCRYPTION_KEY: has no use without MINTMARK_KEY_ENCRYPTION_KEY, which takes its place',
    );
  }
  if (
    previousKey &&
    keyEncryptionKey &&
    Buffer.compare(previousKey.reveal(), keyEncryptionKey.reveal()) === 0
  ) {
    problems.push('MINTMARK_PREVIOUS_KEY_ENCRYPTION_KEY: is the same as MINTMARK_KEY_ENCRYPTION_KEY');
  }
  if (values.DATABASE_URL === undefined && values.MINTMARK_EXCHANGE_DATABASE_URL !== undefined) {
    problems.push('MINTMARK_EXCHANGE_DATABASE_URL: has no use without DATABASE_URL');
  }
  if (values.DATABASE_URL === undefined && values.MINTMARK_AUDIT_ON_OUTAGE === 'spool') {
    problems.push('MINTMARK_AUDIT_ON_OUTAGE: spool has no use without DATABASE_URL');
  }
  if (values.MINTMARK_CLIENT_CERT_HEADER !== undefined && values.MINTMARK_TRUSTED_PROXIES.length === 0) {
    problems.push('MINTMARK_CLIENT_CERT_HEADER: has no use without MINTMARK_TRUSTED_PROXIES');
  }
  const collector = values.OTEL_EXPORTER_OTLP_ENDPOINT?.reveal();
  if (collector !== undefined && new URL(collector).username + new URL(collector).password !== '') {
    problems.push('OTEL_EXPORTER_OTLP_ENDPOINT: holds a user or password, which would be shown in errors');
  }
  const keyLife = {
    rotationSeconds: values.MINTMARK_KEY_ROTATION,
    prepublishSeconds: values.MINTMARK_KEY_PREPUBLISH,
    retentionSeconds: values.MINTMARK_KEY_RETENTION,
  };
  problems.push(...keyLifeProblems(keyLife));
  const pkcs11 = readPkcs11Settings(
    values.MINTMARK_PKCS11_MODULE,
    values.MINTMARK_PKCS11_TOKEN_LABEL,
    values.MINTMARK_PKCS11_PIN_FILE,
    values.MINTMARK_PKCS11_SESSIONS,
    problems,
  );
  const tls = readTlsSettings(values.MINTMARK_TLS_CERT, values.MINTMARK_TLS_KEY, problems);
  const spiffeFiles = {
    certificatePath: values.MINTMARK_SPIFFE_BUNDLE_CERT,
    keyPath: values.MINTMARK_SPIFFE_BUNDLE_KEY,
    rootsPath: values.MINTMARK_SPIFFE_BUNDLE_ROOTS,
  };
  const spiffeEndpoint = readSpiffeEndpoint(
    { listen: values.MINTMARK_SPIFFE_BUNDLE_LISTEN, ...spiffeFiles },
    trustDomain,
    problems,
  );
  if (problems.length > 0) throw new ConfigRefused(problems);

  return Object.freeze({
    issuer,
    trustDomain,
    listen: values.MINTMARK_LISTEN,
    databaseUrl: values.DATABASE_URL,
    exchangeDatabaseUrl: values.MINTMARK_EXCHANGE_DATABASE_URL,
    redisUrl: values.REDIS_URL,
    dataDir: values.MINTMARK_DATA_DIR,
    // The embedded store is on the disk that a spool would be on.
    auditOnOutage: values.DATABASE_URL === undefined ? 'deny' : (values.MINTMARK_AUDIT_ON_OUTAGE ?? 'spool'),
    policyPath: values.MINTMARK_POLICY,
    keyEncryptionKey,
    previousKeyEncryptionKey: previousKey,
    keyLife,
    pkcs11,
    adminToken: values.MINTMARK_ADMIN_TOKEN,
    trustedProxies: values.MINTMARK_TRUSTED_PROXIES,
    certificateHeader: values.MINTMARK_CLIENT_CERT_HEADER,
    traces:
      collector === undefined
        ? undefined
        : { endpoint: collector, sampledShare: values.OTEL_TRACES_SAMPLER_ARG },
    tls,
    spiffeEndpoint,
  });
}

function readFromFile(name: (typeof fileNames)[number], given: NodeJS.ProcessEnv, problems: string[]): void {
  const path = given[`${name}_FILE`];
  if (path === undefined) return;
  if (given[name] !== undefined) {
    problems.push(`${name}_FILE: is given beside ${name}; give one of them`);
    return;
  }
  try {
    given[name] = readFileSync(path, 'utf8').trim();
  } catch (error) {
    problems.push(
      `${name}_FILE: cannot be read (${error instanceof Error && 'code' in error ? error.code : 'error'})`,
    );
  }
}

/** An address, or a range of them that does not trust everybody. */
function isAddressOrRange(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || address.includes('%') || rest.length > 0) return false;
  return (
    prefix === undefined || (/^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128))
  );
}

function issuerProblem(text: string): string | undefined {
  if (!URL.canParse(text)) return 'is not a URL';
  const url = new URL(text);
  if (url.origin !== text)
    return 'is not an origin alone: scheme, host and port, with no path and no trailing slash';
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return undefined;
  return 'must be https (http is allowed on a loopback address only)';
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
