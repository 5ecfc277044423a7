/** Builds every object once, with plain calls, and says how to take them down again. */
import { Server as TlsServer } from 'node:tls';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import packageDescription from '../package.json' with { type: 'json' };
import { openFileKeyCache } from './adapters/data-dir/key-cache.ts';
import { openDataDir } from './adapters/data-dir/open.ts';
import { memoryRateCounter } from './adapters/memory/rate-counter.ts';
import { openMetrics } from './adapters/metrics/open.ts';
import { openCallPlatform } from './adapters/net/call-platform.ts';
import { openFetchDocument } from './adapters/net/fetch-document.ts';
import { proxyMatcher } from './adapters/net/trusted-proxies.ts';
import { readPolicyText } from './adapters/policy-source/read-text.ts';
import { writePolicyText } from './adapters/policy-source/write-text.ts';
import type { SqlStores } from './adapters/postgres/open.ts';
import type { RedisStores } from './adapters/redis/open.ts';
import { openSoftwareKeys } from './adapters/software-keys/open.ts';
import type { Spool } from './adapters/spool/open.ts';
import { readTokenFile } from './adapters/token-file/read.ts';
import { openTraces } from './adapters/traces/open.ts';
import { openWorkloadApi } from './adapters/workload-api/open.ts';
import { openAdmins } from './admins.ts';
import type { Config } from './config.ts';
import type { TokenAlgorithm } from './core/algorithm.ts';
import { tokenEndpointOf } from './core/discovery.ts';
import { createExchange } from './core/exchange.ts';
import { createExplain } from './core/explain.ts';
import { createForwardAuth } from './core/forward-auth.ts';
import { algorithmsOf } from './core/policy/algorithms.ts';
import { createPolicyBook } from './core/policy/book.ts';
import { createPinnedKeysAlarm } from './core/policy/pinned-keys-alarm.ts';
import { describeProblem } from './core/policy/refused.ts';
import type { Clock } from './core/ports.ts';
import { createRefusalCap } from './core/refusal-cap.ts';
import { replayAttempts } from './core/replay.ts';
import { createRevocationBook, type RevocationBook } from './core/revocation-book.ts';
import { createCheckIssuer } from './credentials/check-issuer.ts';
import { createCheckUnsavedIssuer } from './credentials/check-unsaved-issuer.ts';
import { createVerifyDpop } from './credentials/dpop.ts';
import { openKeySets } from './credentials/jwks.ts';
import { openLastGoods } from './credentials/last-good.ts';
import { createVerifyOwnToken } from './credentials/own-token.ts';
import { platforms } from './credentials/platforms/index.ts';
import { checkPushedKeys } from './credentials/pushed-keys.ts';
import { createSuppose } from './credentials/suppose.ts';
import { createVerifier } from './credentials/verify.ts';
import { createVerifyWithoutCalls } from './credentials/verify-without-calls.ts';
import { drainBeforeClose } from './drain.ts';
import { buildApp } from './http/app.ts';
import type { ReadinessCheck } from './http/dependencies.ts';
import { serverTlsOptions } from './http/server-tls.ts';
import { applyPolicyFile } from './policy-file.ts';
import {
  adminTokenOf,
  keyEncryptionKeyOf,
  openAuditSpool,
  openLastKnownState,
  openSharedState,
  openStores,
} from './stores.ts';
import { renewTls } from './tls-files.ts';

const policyPollMillis = 1_000;
/** Revocations are heard of at once; the poll is for what was not heard. */
const revocationPollMillis = 1_000;
/** After so long without reading them a replica says that it may have missed some. */
const revocationsStaleMillis = 30_000;
const tlsPollMillis = 30_000;
const keyRefreshMillis = 1_000;
const keyAgeMillis = 3_600_000;
/** Refusals of unverified credentials that one address may have recorded a minute. */
const refusalLimit = 120;
const refusalWindowSeconds = 60;

export interface House {
  readonly app: FastifyInstance;
  /** Finishes what is under way, writes what the audit has taken, and closes everything, in that order. */
  close(): Promise<void>;
}

/** Rejects where the configuration, the schema, the keys or the policy do not let this process serve. */
export async function wire(config: Config, clock: Clock, logger: FastifyBaseLogger): Promise<House> {
  const closers: (() => unknown)[] = [];
  const close = async () => {
    for (const step of closers.splice(0).reverse()) await step();
  };
  try {
    return { app: await assemble(config, clock, logger, closers), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function assemble(
  config: Config,
  clock: Clock,
  logger: FastifyBaseLogger,
  closers: (() => unknown)[],
): Promise<FastifyInstance> {
  const dataDir = config.databaseUrl === undefined ? await openDataDir(config.dataDir) : undefined;
  if (dataDir) closers.push(dataDir.close);
  const stores = await openStores(config, dataDir, clock, logger);
  closers.push(stores.close);
  const spool = await openAuditSpool(config, stores, clock, logger);
  if (spool) closers.push(spool.close);
  const audit = spool ?? stores.audit;
  const redis = config.redisUrl && (await openSharedState(config.redisUrl, clock, logger));
  if (redis) closers.push(redis.close);

  const keyEncryptionKey = await keyEncryptionKeyOf(config, dataDir);
  const lastKnown = await openLastKnownState(config, stores, keyEncryptionKey, clock, logger);
  let algorithms: readonly TokenAlgorithm[] = ['ES256'];
  const keyRing = await openSoftwareKeys({
    keyStore: lastKnown?.keys ?? stores.keys,
    readAt: lastKnown?.keysReadAt,
    keyEncryptionKey,
    clock,
    life: config.keyLife,
    algorithms: () => algorithms,
  });
  closers.push(
    every(keyRefreshMillis, () => keyRing.refresh(), logger, 'signing keys could not be refreshed'),
  );

  // Shared by all replicas where there are several; an embedded installation keeps other issuers' keys in its folder.
  const keyCache = dataDir
    ? await openFileKeyCache(`${dataDir.path}/key-cache`, clock)
    : (redis?.keyCache ?? stores.keyCache);
  const fetchDocument = openFetchDocument();
  const keySets = openKeySets({
    fetchDocument,
    watchBundles: openWorkloadApi(),
    clock,
    lastGoodOf: openLastGoods(keyCache, keyEncryptionKey),
    log: (message, error) => logger.warn({ err: error }, message),
  });
  closers.push(() => keySets.close());
  const revocations = createRevocationBook({
    store: lastKnown?.revocations ?? stores.revocations,
    clock,
    onProblem: (error) => logger.warn({ err: error }, 'revocations could not be read; those known stay'),
  });
  await revocations.refresh();
  closers.push(revocations.watch({ pollMillis: revocationPollMillis }));
  const warnOfOldKeys = createPinnedKeysAlarm({ clock, warn: (message) => logger.warn(message) });
  const bootstrapToken = await adminTokenOf(config, dataDir);
  const policyBook = createPolicyBook({
    store: lastKnown?.policy ?? stores.policy,
    context: {
      issuer: config.issuer,
      trustDomain: config.trustDomain,
      tokenEndpoint: tokenEndpointOf(config.issuer),
      platforms,
    },
    clock,
    mustKeepAdmin: bootstrapToken === undefined,
    onProblem: (error) => logger.error({ err: error }, 'the stored policy was not taken; the last one stays'),
    onSnapshot: (snapshot) => {
      keySets.prepare(snapshot);
      algorithms = algorithmsOf(snapshot);
      warnOfOldKeys(snapshot);
    },
  });
  await policyBook.refresh();
  if (config.policyPath !== undefined) {
    const { policyPath: path } = config;
    const file = { policyBook, path, clock, logger, isBorne: () => lastKnown?.isFromDisk() === true };
    closers.push(await applyPolicyFile(file));
    for (const warning of policyBook.current().warnings) logger.warn(`policy: ${describeProblem(warning)}`);
  }
  await keyRing.refresh(); // the policy may name algorithms that have no key yet
  closers.push(policyBook.watch({ pollMillis: policyPollMillis }));
  const lookAtKeyAges = async () => warnOfOldKeys(policyBook.current());
  closers.push(every(keyAgeMillis, lookAtKeyAges, logger, 'the ages of keys could not be looked at'));

  const localCounter = memoryRateCounter(clock);
  const refusalCap = createRefusalCap({
    shared: redis?.rateCounter ?? localCounter,
    local: localCounter,
    limit: refusalLimit,
    windowSeconds: refusalWindowSeconds,
  });
  // In this process alone: a proxy's refusals cost no round trip, and none of the exchanges from its address.
  const proxyCounter = memoryRateCounter(clock);
  const forwardAuthCap = createRefusalCap({
    shared: proxyCounter,
    local: proxyCounter,
    limit: refusalLimit,
    windowSeconds: refusalWindowSeconds,
  });
  const verifierOptions = {
    keySets,
    issuer: config.issuer,
    trustDomain: config.trustDomain,
    platforms,
    callPlatform: openCallPlatform(),
    readTokenFile,
  };
  const verify = createVerifier(verifierOptions);
  const replayGuard = redis?.replayGuard ?? stores.replayGuard;
  const forwardAuth = createForwardAuth({
    verify,
    revocations,
    verifyOwnToken: createVerifyOwnToken({ issuer: config.issuer, keyRing, revocations }),
    verifyDpop: createVerifyDpop({ replayGuard }),
  });
  const metrics = openMetrics({
    clock,
    policyRevision: () => policyBook.current().revision,
    signingKeys: () => keyRing.list(),
    keySources: () => keySets.status(),
    revocationsReadAt: revocations.readAt,
    spool: spool?.status,
  });
  const traces =
    config.traces &&
    openTraces({
      ...config.traces,
      clock,
      version: packageDescription.version,
      log: (message, details) => logger.warn(details, message),
    });
  if (traces) closers.push(traces.close);
  const exchange = createExchange({
    issuer: config.issuer,
    clock,
    policy: () => policyBook.current(),
    verify: traces?.verify(verify) ?? verify,
    revocations,
    replayGuard,
    keyRing: traces?.keyRing(keyRing) ?? keyRing,
    audit: traces?.audit(audit) ?? audit,
    refusalCap,
  });
  const measured = metrics.measure(exchange);

  let isDraining = false;
  const app = await buildApp(
    {
      settings: {
        issuer: config.issuer,
        trustedProxies: config.trustedProxies,
        isTrustedProxy: proxyMatcher(config.trustedProxies),
        certificateHeader: config.certificateHeader,
        tls: config.tls,
        version: packageDescription.version,
      },
      clock,
      exchange: traces?.exchange(measured) ?? measured,
      metrics,
      checkIssuer: createCheckIssuer(verify, verifierOptions),
      checkUnsavedIssuer: createCheckUnsavedIssuer({ fetchDocument, clock }, verifierOptions),
      verify,
      checkPushedKeys,
      replayAttempts,
      explain: createExplain(createVerifyWithoutCalls(verifierOptions), createSuppose(config), revocations),
      keyRing,
      keyRings: [keyRing],
      policyBook,
      policyHistory: stores.policyHistory,
      readPolicyText,
      writePolicyText,
      audit,
      auditLog: stores.audit,
      refusalCap,
      forwardAuth,
      forwardAuthCap,
      authenticate: openAdmins({ config, bootstrapToken, policyBook, keyRing, revocations }, logger),
      readiness: [...readinessOf(stores, redis, spool), revocationsCheck(revocations, clock)],
      isDraining: () => isDraining,
    },
    logger,
  );
  if (config.tls) closers.push(renewTlsOf(app, config.tls, logger));
  drainBeforeClose(app);
  closers.push(async () => {
    isDraining = true;
    await app.close();
  });
  return app;
}

/** A renewed certificate serves new connections; those that are open keep theirs. */
function renewTlsOf(
  app: FastifyInstance,
  { files, ...pair }: NonNullable<Config['tls']>,
  logger: FastifyBaseLogger,
) {
  return renewTls(files, pair, {
    pollMillis: tlsPollMillis,
    onRenewed: (renewed) => {
      if (app.server instanceof TlsServer) app.server.setSecureContext(serverTlsOptions(renewed));
      logger.info('the TLS certificate was renewed');
    },
    onRefused: (error) =>
      logger.error({ err: error }, 'the renewed TLS files were not taken; the old ones stay'),
  });
}

/** What this replica cannot do without, and what it bears: an exchange needs neither store while the audit has its spool. */
function readinessOf(
  stores: SqlStores,
  redis: RedisStores | undefined,
  spool: Spool | undefined,
): readonly ReadinessCheck[] {
  const database = { name: 'database', run: () => stores.ping(), isEssential: spool === undefined };
  return [
    database,
    ...(redis ? [{ name: 'redis', run: () => redis.ping(), isEssential: false }] : []),
    ...(spool ? [{ name: 'audit_spool', run: () => spool.ping(), isEssential: true }] : []),
  ];
}

/** Degraded, not refusing: what is known stays in force, and exchanges go on. */
function revocationsCheck({ readAt }: RevocationBook, clock: Clock): ReadinessCheck {
  const run = async () => {
    if (clock.now() - (readAt() ?? 0) > revocationsStaleMillis) throw new Error('not read for long');
  };
  return { name: 'revocations', run, isEssential: false };
}

/** Runs the work again and again, one at a time; returns how to stop. */
function every(
  millis: number,
  work: () => Promise<void>,
  logger: FastifyBaseLogger,
  complaint: string,
): () => void {
  const timer = setInterval(
    () => work().catch((error) => logger.warn({ err: error }, complaint)),
    millis,
  ).unref();
  return () => clearInterval(timer);
}
