/** The keys of one trust domain as a local agent streams them: each message counts at once, what it leaves out is revoked. */
import { refuse } from '../core/error.ts';
import type { BundleState, Clock, WatchBundles } from '../core/ports.ts';
import type { KeySet } from './jwk.ts';
import type { LastGood } from './last-good.ts';
import type { RemoteKeys } from './remote-keys.ts';
import { readTrustBundle } from './trust-bundle.ts';

export interface StreamedKeysOptions {
  /** For messages: `TrustDomain prod.example`. */
  readonly label: string;
  readonly trustDomain: string;
  readonly socket: string;
  readonly watch: WatchBundles;
  readonly clock: Clock;
  /** How long keys stay usable after the stream was lost. */
  readonly serveStaleSeconds: number;
  readonly onFailure: (error: unknown) => void;
  /** Where the agent's last word is kept, so that a start without the agent is no colder than its loss. */
  readonly lastGood?: LastGood | undefined;
}

const firstStateMillis = 3000;
/** How often a state that does not change is kept again: the time of grace after a restart counts from the last. */
const keepEveryMillis = 60_000;
const noBundle = '{"keys":[]}';
const noKeys: KeySet = { keys: [], refused: new Map() };

/** Watches until `close`. What the agent says replaces what was kept over a restart. */
export function openStreamedKeys(options: StreamedKeysOptions): RemoteKeys {
  const { label, trustDomain, clock, serveStaleSeconds, onFailure, lastGood } = options;
  let good: KeySet | undefined;
  let lastText: string | undefined;
  /** Since when the keys are not being kept up to date; undefined while they are. */
  let lostAt: number | undefined;
  let problem: unknown;
  let keptAt = 0;
  const first = Promise.withResolvers<void>();

  function take({ bundles, isLive, problem: reported }: BundleState): void {
    if (reported !== undefined && reported !== problem) onFailure(reported);
    problem = reported;
    if (isLive) lostAt = undefined;
    else lostAt ??= clock.now();
    if (bundles !== undefined) {
      const before = good;
      good = keysOf(bundles.get(trustDomain));
      if (isLive && good !== before) keep();
    }
    if (good !== undefined || problem !== undefined) first.resolve();
  }

  function keysOf(text: string | undefined): KeySet {
    if (text === lastText && good !== undefined) return good;
    lastText = text;
    if (text === undefined) return noKeys;
    try {
      return readTrustBundle(text, good).keys;
    } catch (error) {
      // What the agent says now cannot be read; what it said before it no longer says.
      onFailure(error);
      return noKeys;
    }
  }

  function keep(): void {
    keptAt = clock.now();
    lastGood?.save({ text: lastText ?? noBundle, at: keptAt, freshForSeconds: 0 }).catch(onFailure);
  }

  /** Takes over what an earlier process was told last, unless the agent has spoken meanwhile. */
  async function restore(): Promise<void> {
    const document = await lastGood?.load();
    if (document === undefined || good !== undefined) return;
    good = readTrustBundle(document.text).keys;
    lastText = document.text;
    lostAt = Math.min(document.at, clock.now());
    first.resolve();
  }

  const stop = options.watch(options.socket, take);
  const restored = restore().catch(onFailure);

  function usableUntil(): number {
    return lostAt === undefined ? Number.POSITIVE_INFINITY : lostAt + serveStaleSeconds * 1000;
  }

  function usable(): KeySet | undefined {
    return clock.now() < usableUntil() ? good : undefined;
  }

  function keysNow(): KeySet {
    return (
      usable() ??
      refuse(
        'credential.keys_unavailable',
        `${label}: ${good === undefined ? 'the Workload API has not answered yet' : 'the Workload API was lost too long ago'}`,
        problem,
      )
    );
  }

  async function keysAfterFirstState(): Promise<KeySet> {
    const waiting = setTimeout(first.resolve, firstStateMillis).unref();
    await Promise.all([restored, first.promise]);
    clearTimeout(waiting);
    return keysNow();
  }

  const keys = () => usable() ?? keysAfterFirstState();
  return {
    keys,
    // The stream brings new keys by itself: there is nothing to ask.
    keysAfterMiss: async () => await keys(),
    refreshIfDue: () => {
      if (good !== undefined && lostAt === undefined && clock.now() >= keptAt + keepEveryMillis) keep();
    },
    snapshot: () => ({
      keys: good,
      lastGoodAt: good && (lostAt ?? clock.now()),
      usableUntil: good && usableUntil(),
      failures: problem === undefined ? 0 : 1,
      lastError: problem instanceof Error ? problem.message : undefined,
    }),
    close: stop,
  };
}
