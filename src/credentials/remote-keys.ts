/** One remote source of keys, kept fresh: one flight at a time, refreshed ahead of expiry, served stale for a while, then refused. */
import { OAuthError } from '../core/error.ts';
import type { Clock } from '../core/ports.ts';
import type { InBackground } from './background-queue.ts';
import type { KeySet } from './jwk.ts';
import type { LastGood } from './last-good.ts';

/** Where the keys of one Issuer or TrustDomain come from. */
export interface KeySource {
  /** The keys in force: without waiting while they are usable. Throws `credential.keys_unavailable`. */
  keys(): KeySet | Promise<KeySet>;
  /** The keys after a token named a `kid` that those in force lack; fetched again at most once in 60 s, else the same keys. */
  keysAfterMiss(kid: string): Promise<KeySet>;
}

export interface RemoteKeys extends KeySource {
  /** Starts a refresh where one is due; returns at once. */
  refreshIfDue(): void;
  snapshot(): RemoteKeysSnapshot;
  close(): void;
}

export interface RemoteKeysSnapshot {
  readonly keys: KeySet | undefined;
  readonly lastGoodAt: number | undefined;
  readonly usableUntil: number | undefined;
  readonly failures: number;
  readonly lastError: string | undefined;
}

export interface Fetched {
  readonly keys: KeySet;
  /** How long the keys count as fresh. */
  readonly freshForSeconds: number;
  /** What the keys were read from, to be kept over a restart. */
  readonly text?: string;
  /** `spiffe_sequence` in decimal digits, where there is one. */
  readonly sequence?: string;
}

export interface RemoteKeysOptions {
  /** For messages: `Issuer prod-cluster`. */
  readonly label: string;
  /** One fetch, bounded in time by its adapter. `previous` are the keys it replaces. */
  readonly fetch: (previous: KeySet | undefined) => Promise<Fetched>;
  readonly clock: Clock;
  /** How long keys stay usable after the last good fetch. */
  readonly serveStaleSeconds: number;
  readonly onFailure: (error: unknown) => void;
  /** Where the last good document is kept over restarts, and how it is read: by the checks that a fetch makes. */
  readonly kept?: { readonly lastGood: LastGood; readonly read: (text: string) => Fetched };
  /** Runs refreshes that nobody waits for; at once by default. */
  readonly inBackground?: InBackground;
}

interface Good {
  readonly keys: KeySet;
  readonly at: number;
  readonly refreshAt: number;
  readonly usableUntil: number;
}

const refreshAfterShare = 0.8; // of the time for which keys are fresh: ahead of expiry
const missIntervalMillis = 60_000;
const maxRememberedMisses = 1000;
const firstBackoffMillis = 1000;
const maxBackoffMillis = 60_000;

export function openRemoteKeys(options: RemoteKeysOptions): RemoteKeys {
  const { label, clock, serveStaleSeconds, kept, inBackground = (work) => void work() } = options;
  let good: Good | undefined;
  let flight: Promise<void> | undefined;
  let failures = 0;
  let lastError: unknown;
  let retryAt = 0;
  let missFetchAllowedAt = 0;
  let closed = false;
  let isQueued = false;
  let restoration = kept === undefined ? Promise.resolve() : undefined;
  /** Key ids that a fetch has just shown to be unknown, and until when that is believed. */
  const misses = new Map<string, number>();

  /** Joins the flight under way or starts one. Resolves when it has ended, well or badly. */
  function refresh(): Promise<void> {
    flight ??= fetchOnce().finally(() => {
      flight = undefined;
    });
    return flight;
  }

  /** Takes over what an earlier process or another replica fetched last, once, before anything else is fetched. */
  function restored(): Promise<void> {
    restoration ??= restore();
    return restoration;
  }

  async function restore(): Promise<void> {
    try {
      const document = await kept?.lastGood.load();
      if (kept === undefined || document === undefined || closed) return;
      // Read however old it is: keys that no longer count still say which spiffe_sequence came last.
      const { keys } = kept.read(document.text);
      // A replica whose clock is ahead must not lengthen the time of grace.
      const at = Math.min(document.at, clock.now());
      if (clock.now() < at + serveStaleSeconds * 1000) good = goodKeys(keys, at, document.freshForSeconds);
    } catch (error) {
      // A cache that cannot be read, or not be trusted, is a cold start and nothing worse.
      options.onFailure(error);
    }
  }

  function goodKeys(keys: KeySet, at: number, freshForSeconds: number): Good {
    // Never fresh for longer than half the time of grace: one refresh may fail before keys stop counting.
    const freshSeconds = Math.min(freshForSeconds, serveStaleSeconds / 2);
    return {
      keys,
      at,
      refreshAt: at + freshSeconds * 1000 * refreshAfterShare,
      usableUntil: at + serveStaleSeconds * 1000,
    };
  }

  /** In the background: no exchange waits for the cache. */
  function keep({ text, sequence, freshForSeconds }: Fetched, at: number): void {
    if (kept === undefined || text === undefined) return;
    const document = { text, at, freshForSeconds, ...(sequence === undefined ? {} : { sequence }) };
    kept.lastGood.save(document).catch(options.onFailure);
  }

  async function fetchOnce(): Promise<void> {
    await restored();
    try {
      const fetched = await options.fetch(good?.keys);
      if (closed) return;
      const { keys } = fetched;
      good = goodKeys(keys, clock.now(), fetched.freshForSeconds);
      failures = 0;
      lastError = undefined;
      retryAt = 0;
      keep(fetched, good.at);
      for (const { kid } of keys.keys) if (kid !== undefined) misses.delete(kid);
    } catch (error) {
      if (closed) return;
      failures += 1;
      lastError = error;
      retryAt =
        clock.now() + Math.min(firstBackoffMillis * 2 ** Math.min(failures - 1, 16), maxBackoffMillis);
      options.onFailure(error);
    }
  }

  function mayFetch(): boolean {
    return !closed && flight === undefined && clock.now() >= retryAt;
  }

  function usable(): KeySet | undefined {
    return good !== undefined && clock.now() < good.usableUntil ? good.keys : undefined;
  }

  function refreshIfDue(): void {
    if (isQueued || !isDue()) return;
    isQueued = true;
    inBackground(async () => {
      isQueued = false;
      if (!isDue()) return;
      await restored();
      if (isDue()) await refresh();
    });
  }

  function isDue(): boolean {
    return mayFetch() && (good === undefined || clock.now() >= good.refreshAt);
  }

  async function keysAfterFlight(): Promise<KeySet> {
    await restored();
    const warm = usable();
    if (warm !== undefined) {
      refreshIfDue();
      return warm;
    }
    if (flight !== undefined || mayFetch()) await refresh();
    const keys = usable();
    if (keys !== undefined) return keys;
    throw new OAuthError('credential.keys_unavailable', {
      detail: `${label}: ${good === undefined ? 'no keys could be fetched yet' : 'the last good keys are too old'}`,
      cause: lastError,
    });
  }

  async function keysAfterMiss(kid: string): Promise<KeySet> {
    const now = clock.now();
    const known = (misses.get(kid) ?? 0) > now;
    if (!known && flight !== undefined) {
      await flight;
    } else if (!known && now >= missFetchAllowedAt && mayFetch()) {
      missFetchAllowedAt = now + missIntervalMillis;
      await refresh();
      rememberMiss(kid, now);
    }
    return keys();
  }

  function rememberMiss(kid: string, now: number): void {
    if (good?.keys.keys.some((key) => key.kid === kid) === true) return;
    // A caller can make up any number of ids; forgetting them all costs one fetch in 60 s, no more.
    if (misses.size >= maxRememberedMisses) misses.clear();
    misses.set(kid, now + missIntervalMillis);
  }

  function keys(): KeySet | Promise<KeySet> {
    const inForce = usable();
    if (inForce === undefined) return keysAfterFlight();
    refreshIfDue();
    return inForce;
  }

  return {
    keys,
    keysAfterMiss,
    refreshIfDue,
    snapshot: () => ({
      keys: good?.keys,
      lastGoodAt: good?.at,
      usableUntil: good?.usableUntil,
      failures,
      lastError: lastError instanceof Error ? lastError.message : undefined,
    }),
    close: () => {
      closed = true;
    },
  };
}
