/** The keys of every registered Issuer and TrustDomain. Each document has a source of its own: keys are never pooled. */
import { refuse } from '../core/error.ts';
import type { PolicySnapshot, TrustedDomain, TrustedIssuer } from '../core/policy/snapshot.ts';
import type { Clock, FetchDocument, WatchBundles } from '../core/ports.ts';
import { openBackgroundQueue } from './background-queue.ts';
import { type KeySet, type KeyUse, readKeySet } from './jwk.ts';
import { domainKeys, issuerKeys, type KeyDocument } from './key-documents.ts';
import type { LastGood } from './last-good.ts';
import { type KeySource, openRemoteKeys, type RemoteKeys } from './remote-keys.ts';
import { openStreamedKeys } from './streamed-keys.ts';

export type { KeySource } from './remote-keys.ts';

export interface KeySourceStatus {
  readonly kind: 'Issuer' | 'TrustDomain';
  readonly name: string;
  /** `fresh` and `stale` keys are in use; `pending` were never fetched; `unavailable` are too old, so their tokens are refused. */
  readonly state: 'static' | 'fresh' | 'stale' | 'pending' | 'unavailable';
  readonly keyCount: number;
  /** Seconds since the last good fetch. */
  readonly ageSeconds?: number;
  readonly lastError?: string;
}

export interface KeySets {
  keysFor(issuer: TrustedIssuer): KeySource;
  bundleFor(domain: TrustedDomain): KeySource;
  /** Starts fetching what is new in the policy and drops what is gone from it; returns at once. */
  prepare(policy: PolicySnapshot): void;
  status(): readonly KeySourceStatus[];
  close(): void;
}

export interface KeySetsOptions {
  readonly fetchDocument: FetchDocument;
  readonly clock: Clock;
  /** For trust domains whose bundle is a local agent's; without it their keys are unavailable. */
  readonly watchBundles?: WatchBundles;
  /** Keeps last good documents over restarts, by source; without it a start is cold. */
  readonly lastGoodOf?: (source: string) => LastGood;
  /** Told of each failed fetch. The message holds no key. */
  readonly log?: (message: string, error: unknown) => void;
}

interface Entry {
  readonly kind: KeySourceStatus['kind'];
  readonly name: string;
  readonly source: KeySource;
  /** Undefined where the keys stand in the document. */
  readonly remote: RemoteKeys | undefined;
  readonly staticKeyCount: number;
  isDropped: boolean;
}

const issuerServeStaleSeconds = 86_400;
const tickMillis = 1000;
const maxBackgroundFetches = 8;

/** Opens the key sets. Fetched keys are refreshed in the background until `close`. */
export function openKeySets(options: KeySetsOptions): KeySets {
  const { fetchDocument, clock, lastGoodOf } = options;
  const inBackground = openBackgroundQueue(maxBackgroundFetches);
  /** By what the document says of its keys: a changed document is another source, an unchanged one keeps its keys. */
  const entries = new Map<string, Entry>();
  /** The same by the compiled document, so that the common case hashes nothing. */
  const bySource = new WeakMap<TrustedIssuer | TrustedDomain, Entry>();

  const ticking = setInterval(() => {
    for (const { remote } of entries.values()) remote?.refreshIfDue();
  }, tickMillis);
  ticking.unref();

  function openEntry(
    kind: Entry['kind'],
    name: string,
    document: KeyDocument | undefined,
    serveStaleSeconds: number,
    fixed: unknown,
    identity: string,
  ): Entry {
    if (document === undefined) {
      const source = fixedSource(fixed, kind === 'Issuer' ? 'sig' : 'jwt-svid');
      return { kind, name, source, remote: undefined, staticKeyCount: source.keyCount, isDropped: false };
    }
    const label = `${kind} ${name}`;
    const onFailure = (error: unknown) => options.log?.(`keys of ${label} could not be fetched`, error);
    const { fetch, read } = document;
    const kept = lastGoodOf && { lastGood: lastGoodOf(identity), read: (text: string) => read(text) };
    const remote = openRemoteKeys({
      label,
      fetch,
      clock,
      serveStaleSeconds,
      onFailure,
      inBackground,
      ...(kept ? { kept } : {}),
    });
    return { kind, name, source: remote, remote, staticKeyCount: 0, isDropped: false };
  }

  function openStreamedEntry(
    { name, serveStaleSeconds }: TrustedDomain,
    socket: string,
    identity: string,
  ): Entry {
    const watch = options.watchBundles ?? nothingToWatch;
    const label = `TrustDomain ${name}`;
    const onFailure = (error: unknown) => options.log?.(`keys of ${label} could not be streamed`, error);
    const remote = openStreamedKeys({
      label,
      trustDomain: name,
      socket,
      watch,
      clock,
      serveStaleSeconds,
      onFailure,
      lastGood: lastGoodOf?.(identity),
    });
    return { kind: 'TrustDomain', name, source: remote, remote, staticKeyCount: 0, isDropped: false };
  }

  function entryFor(document: TrustedIssuer | TrustedDomain): Entry {
    const known = bySource.get(document);
    if (known !== undefined && !known.isDropped) return known;
    const identity = identityOf(document);
    const entry =
      entries.get(identity) ??
      ('platform' in document
        ? openEntry(
            'Issuer',
            document.name,
            issuerKeys(document, fetchDocument, clock),
            issuerServeStaleSeconds,
            document.keys.jwks,
            identity,
          )
        : document.bundle.workloadApi !== undefined
          ? openStreamedEntry(document, document.bundle.workloadApi, identity)
          : openEntry(
              'TrustDomain',
              document.name,
              domainKeys(document, fetchDocument),
              document.serveStaleSeconds,
              document.bundle.static,
              identity,
            ));
    entries.set(identity, entry);
    bySource.set(document, entry);
    return entry;
  }

  return {
    keysFor: (issuer) => entryFor(issuer).source,
    bundleFor: (domain) => entryFor(domain).source,
    prepare(policy) {
      const issuers = [...policy.issuers.values()]
        .flat()
        .filter(({ platform, keys }) => !platform.proof && keys.tokenReview === undefined);
      const documents = [...issuers, ...policy.trustDomains.values()];
      const kept = new Set(documents.map(entryFor));
      for (const [identity, entry] of entries) {
        if (kept.has(entry)) continue;
        entry.remote?.close();
        entry.isDropped = true;
        entries.delete(identity);
      }
      for (const { remote } of kept) remote?.refreshIfDue();
    },
    status: () => [...entries.values()].map((entry) => statusOf(entry, clock.now())),
    close() {
      clearInterval(ticking);
      for (const { remote } of entries.values()) remote?.close();
    },
  };
}

const nothingToWatch: WatchBundles = (_socket, watcher) => {
  watcher({
    bundles: undefined,
    isLive: false,
    problem: new Error('no Workload API can be reached from here'),
  });
  return () => {};
};

function identityOf(document: TrustedIssuer | TrustedDomain): string {
  return 'platform' in document
    ? JSON.stringify(['Issuer', document.name, document.issuerUrl, document.keys])
    : JSON.stringify(['TrustDomain', document.name, document.bundle, document.serveStaleSeconds]);
}

function fixedSource(document: unknown, use: KeyUse): KeySource & { readonly keyCount: number } {
  let keys: KeySet;
  try {
    keys = readKeySet(document, use);
  } catch (cause) {
    const unavailable = () =>
      refuse('credential.keys_unavailable', "the document's own keys cannot be read", cause);
    return { keys: unavailable, keysAfterMiss: async () => unavailable(), keyCount: 0 };
  }
  return { keys: () => keys, keysAfterMiss: async () => keys, keyCount: keyCountOf(keys) };
}

function keyCountOf({ keys, roots = [] }: KeySet): number {
  return keys.length + roots.length;
}

function statusOf({ kind, name, remote, staticKeyCount }: Entry, nowMillis: number): KeySourceStatus {
  if (remote === undefined) return { kind, name, state: 'static', keyCount: staticKeyCount };
  const { keys, lastGoodAt, usableUntil, failures, lastError } = remote.snapshot();
  const keyCount = keys === undefined ? 0 : keyCountOf(keys);
  const error = lastError === undefined ? {} : { lastError };
  if (lastGoodAt === undefined || usableUntil === undefined) {
    return { kind, name, state: failures === 0 ? 'pending' : 'unavailable', keyCount, ...error };
  }
  const state = nowMillis >= usableUntil ? 'unavailable' : failures === 0 ? 'fresh' : 'stale';
  return { kind, name, state, keyCount, ageSeconds: Math.floor((nowMillis - lastGoodAt) / 1000), ...error };
}
