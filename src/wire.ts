/** Builds every object once, with plain calls, and says how to take them down again. */
import { Server as TlsServer } from 'node:tls';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import packageDescription from '../package.json' with { type: 'json' };
import { openFileKeyCache } from './adapters/data-dir/key-cache.ts';
import { openDataDir } from './adapters/data-dir/open.ts';
import { memoryTokenCache } from './adapters/memory/token-cache.ts';
import { openMetrics } from './adapters/metrics/open.ts';
import { openFetchDocument } from './adapters/net/fetch-document.ts';
import { proxyMatcher } from './adapters/net/trusted-proxies.ts';
import { readPolicyText } from './adapters/policy-source/read-text.ts';
import { writePolicyText } from './adapters/policy-source/write-text.ts';
import { openTraces } from './adapters/traces/open.ts';
import { openWorkloadApi } from './adapters/workload-api/open.ts';
import { openAdmins } from './admins.ts';
import type { Config } from './config.ts';
import type { TokenAlgorithm } from './core/algorithm.ts';
import { createCheckpointer } from './core/audit-checkpointer.ts';
import { tokenEndpointOf } from './core/discovery.ts';
import { createExchange } from './core/exchange.ts';
import { createExplain } from './core/explain.ts';
import { createForwardAuth } from './core/forward-auth.ts';
import { createIntrospect } from './core/introspect.ts';
import { createMintOrReuse } from './core/mint-or-reuse.ts';
import { algorithmsOf } from './core/policy/algorithms.ts';
import { createPolicyBook } from './core/policy/book.ts';
import { createPinnedKeysAlarm } from './core/policy/pinned-keys-alarm.ts';
import { describeProblem } from './core/policy/refused.ts';
import type { Clock } from './core/ports.ts';
import { replayAttempts } from './core/replay.ts';
import { createRevoke } from './core/revoke.ts';
import { type BundleRoots, refreshHintSeconds, spiffeBundle } from './core/spiffe-bundle.ts';
import { createVerifyShownToken } from './core/token-binding.ts';
import { createCheckIssuer } from './credentials/check-issuer.ts';
import { createCheckUnsavedIssuer } from './credentials/check-unsaved-issuer.ts';
import { openKeySets } from './credentials/jwks.ts';
import { openLastGoods } from './credentials/last-good.ts';
import { platforms } from './credentials/platforms/index.ts';
import { checkPushedKeys } from './credentials/pushed-keys.ts';
import { createSuppose } from './credentials/suppose.ts';
import { createVerifyWithoutCalls } from './credentials/verify-without-calls.ts';
import { drainBeforeClose } from './drain.ts';
import { every } from './every.ts';
import { buildApp } from './http/app.ts';
import { presentedChain } from './http/forwarded-certificate.ts';
import { serverTlsOptions } from './http/server-tls.ts';
import { applyPolicyFile } from './policy-file.ts';
import { readinessOf } from './readiness.ts';
import { openRefusalCaps } from './refusal-caps.ts';
import { openRevocations } from './revocations.ts';
import { openSigningKeys } from './signing-keys.ts';
import { openSpiffeEndpoint } from './spiffe-endpoint.ts';
import {
  adminTokenOf,
  keyEncryptionKeyOf,
  openAuditSpool,
  openLastKnownState,
  openSharedState,
  openStores,
} from './stores.ts';
import { renewTls } from './tls-files.ts';
import { openVerifiers } from './verifiers.ts';

const policyPollMillis = 1_000;
const tlsPollMillis = 30_000;
const keyRefreshMillis = 1_000;
const keyAgeMillis = 3_600_000;
const checkpointMillis = 60_000;

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
  let svidAlgorithms: readonly TokenAlgorithm[] = [];
  const signingKeys = await openSigningKeys(
    config,
    {
      keyEncryptionKey,
      previousKeyEncryptionKey: config.previousKeyEncryptionKey,
      log: (message) => logger.info(message),
      clock,
      life: config.keyLife,
    },
    {
      keyRing: {
        keyStore: lastKnown?.keys ?? stores.keys,
        readAt: lastKnown?.keys.readAt,
        algorithms: () => algorithms,
      },
      svidKeyRing: {
        keyStore: lastKnown?.svidKeys ?? stores.svidKeys,
        readAt: lastKnown?.svidKeys.readAt,
        algorithms: () => svidAlgorithms,
      },
    },
    logger,
  );
  closers.push(signingKeys.close);
  const { keyRing, svidKeyRing } = signingKeys;
  const refreshKeys = async () => {
    await Promise.all([keyRing.refresh(), svidKeyRing.refresh()]);
  };
  closers.push(every(keyRefreshMillis, refreshKeys, logger, 'signing keys could not be refreshed'));

  // Shared by all replicas where there are several; an embedded installation keeps other issuers' keys in its folder.
  const keyCache = dataDir
    ? await openFileKeyCache(`${dataDir.path}/key-cache`, clock)
    : (redis?.keyCache ?? stores.keyCache);
  const fetchDocument = openFetchDocument();
  const keySets = openKeySets({
    fetchDocument,
    watchBundles: openWorkloadApi(),
    clock,
    lastGoodOf: openLastGoods(keyCache, keyEncryptionKey, config.previousKeyEncryptionKey),
    log: (message, error) => logger.warn({ err: error }, message),
  });
  closers.push(() => keySets.close());
  const opened = await openRevocations(lastKnown?.revocations ?? stores.revocations, clock, logger);
  closers.push(opened.close);
  const revocations = opened.book;
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
      algorithms = algorithmsOf(snapshot, 'access_token');
      svidAlgorithms = algorithmsOf(snapshot, 'jwt-svid');
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
  await refreshKeys(); // the policy may name algorithms that have no key yet
  const checkpoint = createCheckpointer({
    chains: stores.audit.chains,
    audit,
    keyRing,
    issuer: config.issuer,
    clock,
  });
  const complaint = 'no audit checkpoint could be made';
  closers.push(() => checkpoint().catch((error) => logger.warn({ err: error }, complaint)));
  closers.push(every(checkpointMillis, checkpoint, logger, complaint));
  closers.push(policyBook.watch({ pollMillis: policyPollMillis }));
  const lookAtKeyAges = async () => warnOfOldKeys(policyBook.current());
  closers.push(every(keyAgeMillis, lookAtKeyAges, logger, 'the ages of keys could not be looked at'));

  const { refusalCap, forwardAuthCap } = openRefusalCaps(clock, redis);
  const replayGuard = redis?.replayGuard ?? stores.replayGuard;
  const traces =
    config.traces &&
    openTraces({
      ...config.traces,
      clock,
      version: packageDescription.version,
      log: (message, details) => logger.warn(details, message),
    });
  if (traces) closers.push(traces.close);
  const { options: verifierOptions, ...verifiers } = openVerifiers({
    config,
    keySets,
    keyRing,
    keyEncryptionKey,
    revocations,
    replayGuard,
    watch: traces?.verify,
  });
  const { verify, verifyOwnToken, verifySubject, verifyDpop, dpopNonces } = verifiers;
  const forwardAuth = createForwardAuth({
    verify,
    revocations,
    verifyOwnToken,
    verifyDpop: verifiers.verifyProxiedDpop,
  });
  const metrics = openMetrics({
    clock,
    policyRevision: () => policyBook.current().revision,
    signingKeys: () => keyRing.list(),
    keySources: () => keySets.status(),
    revocationsReadAt: revocations.readAt,
    spool: spool?.status,
  });
  stores.audit.onBatch(metrics.observeAuditBatch);
  const parts = {
    issuer: config.issuer,
    clock,
    policy: () => policyBook.current(),
    verify,
    verifyOwnToken,
    revocations,
    verifyDpop,
    replayGuard,
    keyRing: traces?.keyRing(keyRing) ?? keyRing,
    audit: traces?.audit(audit) ?? audit,
    refusalCap,
  };
  const exchange = createExchange({
    ...parts,
    verifySubject,
    mintOrReuse: createMintOrReuse({
      keyEncryptionKey,
      caches: [memoryTokenCache(clock), ...(redis ? [redis.tokenCache] : [])],
    }),
    svidKeyRing: traces?.keyRing(svidKeyRing) ?? svidKeyRing,
  });
  const measured = metrics.measure(exchange);
  const verifyShownToken = createVerifyShownToken(verifyOwnToken, verifyDpop);
  const authenticate = openAdmins({ config, bootstrapToken, policyBook, verifyShownToken }, logger);
  const revoke = createRevoke({ ...parts, authenticateAdmin: authenticate });
  const introspect = createIntrospect({ ...parts, verifyShownToken, count: metrics.countIntrospection });

  const bundleWith = (roots?: BundleRoots) =>
    spiffeBundle(svidKeyRing, refreshHintSeconds(config.keyLife), roots);
  const { spiffeEndpoint: endpoint, trustDomain } = config;
  const spiffeEndpoint =
    endpoint &&
    (await openSpiffeEndpoint({ endpoint, trustDomain, bundleWith, pollMillis: tlsPollMillis, logger }));
  if (spiffeEndpoint) closers.push(spiffeEndpoint.close);

  const settings = {
    issuer: config.issuer,
    trustedProxies: config.trustedProxies,
    isTrustedProxy: proxyMatcher(config.trustedProxies),
    certificateHeader: config.certificateHeader,
    tls: config.tls,
    version: packageDescription.version,
  };
  let isDraining = false;
  const app = await buildApp(
    {
      settings,
      presentedCertificate: (request) => presentedChain(request, settings)?.[0],
      clock,
      exchange: traces?.exchange(measured) ?? measured,
      revoke,
      introspect,
      revocations,
      metrics,
      checkIssuer: createCheckIssuer(verify, verifierOptions),
      checkUnsavedIssuer: createCheckUnsavedIssuer({ fetchDocument, clock }, verifierOptions),
      verify,
      dpopNonce: dpopNonces.issue,
      checkPushedKeys,
      replayAttempts,
      explain: createExplain(createVerifyWithoutCalls(verifierOptions), createSuppose(config), revocations),
      keyRing,
      keyRings: [keyRing, svidKeyRing],
      spiffeBundle: spiffeEndpoint?.bundle ?? (() => bundleWith()),
      policyBook,
      policyHistory: stores.policyHistory,
      readPolicyText,
      writePolicyText,
      audit,
      auditLog: stores.audit,
      refusalCap,
      authenticate,
      forwardAuth,
      forwardAuthCap,
      readiness: [...readinessOf(stores, redis, spool), opened.readiness, ...signingKeys.readiness],
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
