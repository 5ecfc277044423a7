/** When signing keys are made, begin to sign, stop and go: by their `activatesAt` alone, so that a replica which lost the store goes on with the plan that it knows. */
import type { TokenAlgorithm } from './algorithm.ts';
import type { KeyLife } from './key-life.ts';
import type { PlannedKey, StoredKey } from './ports.ts';

export interface MissingKey {
  readonly algorithm: TokenAlgorithm;
  /** Milliseconds since the epoch. */
  readonly activatesAt: number;
}

export interface KeyPlan {
  readonly keys: readonly StoredKey[];
  readonly missing: readonly MissingKey[];
}

/** The key of this algorithm that signs now: the last whose time has come, else the first to come. */
export function signingKey<K extends Pick<StoredKey, 'kid' | 'algorithm' | 'createdAt' | 'activatesAt'>>(
  keys: readonly K[],
  algorithm: TokenAlgorithm,
  nowMillis: number,
): K | undefined {
  const ring = inOrder(keys, algorithm);
  return ring.findLast(({ activatesAt }) => activatesAt <= nowMillis) ?? ring[0];
}

/**
 * What the keys should be now: states by the clock, what has outlived its tokens gone, and one next key for each
 * wanted algorithm. An algorithm that is not wanted any more gets no next key, and goes with its last one. The very first key of an algorithm signs at once: nobody can hold a token of an earlier one.
 */
export function planKeys(
  keys: readonly StoredKey[],
  wanted: readonly TokenAlgorithm[],
  nowMillis: number,
  life: KeyLife,
): KeyPlan {
  const algorithms = new Set([...keys.map(({ algorithm }) => algorithm), ...wanted]);
  const plans = [...algorithms].map((algorithm) => {
    const isWanted = wanted.includes(algorithm);
    const ring = withOneSigning(inOrder(keys, algorithm), nowMillis);
    const kept = withoutOutlived(ring, isWanted, nowMillis, life);
    return {
      keys: withStates(kept, nowMillis),
      missing: isWanted
        ? missingTimes(kept, nowMillis, life).map((activatesAt) => ({ algorithm, activatesAt }))
        : [],
    };
  });
  return { keys: plans.flatMap((plan) => plan.keys), missing: plans.flatMap(({ missing }) => missing) };
}

/** Brings the next keys forward: as soon as each has been published long enough, or in an emergency at once. */
export function bringForward(
  keys: readonly StoredKey[],
  isEmergency: boolean,
  nowMillis: number,
  life: KeyLife,
): readonly StoredKey[] {
  return keys.map((key) => {
    const earliest = isEmergency ? nowMillis : key.createdAt + life.prepublishSeconds * 1000;
    const activatesAt = Math.min(key.activatesAt, Math.max(earliest, nowMillis));
    return key.activatesAt > nowMillis ? { ...key, activatesAt } : key;
  });
}

/**
 * Without this key; where it was signing, the next one signs at once. Where there is no next one, a key is missing that
 * does: an older one, whose tokens are still alive, must never sign again.
 */
export function withoutRevoked(keys: readonly StoredKey[], kid: string, nowMillis: number): KeyPlan {
  const revoked = keys.find((key) => key.kid === kid);
  const kept = keys.filter((key) => key !== revoked);
  if (revoked === undefined || signingKey(keys, revoked.algorithm, nowMillis) !== revoked) {
    return { keys: kept, missing: [] };
  }
  const { algorithm } = revoked;
  const others = inOrder(kept, algorithm);
  const next = others.find(({ activatesAt }) => activatesAt > nowMillis);
  if (next === undefined) {
    return { keys: kept, missing: others.length === 0 ? [] : [{ algorithm, activatesAt: nowMillis }] };
  }
  return {
    keys: kept.map((key) => (key === next ? { ...key, activatesAt: nowMillis } : key)),
    missing: [],
  };
}

/** The keys of each algorithm in the order in which they sign, with what follows for each from the one after it. */
export function withTimes(keys: readonly StoredKey[], { retentionSeconds }: KeyLife): readonly PlannedKey[] {
  const algorithms = new Set(keys.map(({ algorithm }) => algorithm));
  return [...algorithms].flatMap((algorithm) =>
    inOrder(keys, algorithm).map((key, index, ring) => {
      const retiresAt = ring[index + 1]?.activatesAt;
      if (retiresAt === undefined) return key;
      return { ...key, retiresAt, leavesAt: retiresAt + retentionSeconds * 1000 };
    }),
  );
}

/** The keys with their states as the clock has them. */
export function withStates(keys: readonly StoredKey[], nowMillis: number): readonly StoredKey[] {
  return keys.map((key) => {
    const isSigning = signingKey(keys, key.algorithm, nowMillis) === key;
    const state = isSigning ? 'active' : key.activatesAt > nowMillis ? 'next' : 'retiring';
    return { ...key, state };
  });
}

function inOrder<K extends Pick<StoredKey, 'kid' | 'algorithm' | 'createdAt' | 'activatesAt'>>(
  keys: readonly K[],
  algorithm: TokenAlgorithm,
): readonly K[] {
  return keys
    .filter((key) => key.algorithm === algorithm)
    .toSorted(
      (one, other) =>
        one.activatesAt - other.activatesAt ||
        one.createdAt - other.createdAt ||
        (one.kid < other.kid ? -1 : 1), // all replicas must see one order
    );
}

/** Where no key's time has come, the first one's has. */
function withOneSigning(ring: readonly StoredKey[], nowMillis: number): readonly StoredKey[] {
  return ring.map((key, index) =>
    index === 0 && key.activatesAt > nowMillis ? { ...key, activatesAt: nowMillis } : key,
  );
}

/**
 * The last key of an algorithm that is wanted has its successor from the moment on at which it begins to sign. One that
 * is without has not been wanted since, so none of its tokens is left after the same time (a replica that was wrong
 * about that, because it lost the store, signs no longer either).
 */
function withoutOutlived(
  ring: readonly StoredKey[],
  isWanted: boolean,
  nowMillis: number,
  { retentionSeconds }: KeyLife,
): readonly StoredKey[] {
  return ring.filter((key, index) => {
    const successor = ring[index + 1] ?? (isWanted ? undefined : key);
    return successor === undefined || successor.activatesAt + retentionSeconds * 1000 > nowMillis;
  });
}

function missingTimes(ring: readonly StoredKey[], nowMillis: number, life: KeyLife): readonly number[] {
  const last = ring.at(-1);
  if (last !== undefined && last.activatesAt > nowMillis) return [];
  const afterwards = (since: number) =>
    Math.max(since + life.rotationSeconds * 1000, nowMillis + life.prepublishSeconds * 1000);
  return last === undefined ? [nowMillis, afterwards(nowMillis)] : [afterwards(last.activatesAt)];
}
