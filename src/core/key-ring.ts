/** The keys of one issuer over their store: what is due is done there, by whoever sees it first; where private keys live is their holder's affair. */

import { isDeepStrictEqual } from 'node:util';
import type { TokenAlgorithm } from './algorithm.ts';
import { OAuthError } from './error.ts';
import { type KeyLife, longestTokenSeconds } from './key-life.ts';
import {
  bringForward,
  type KeyPlan,
  type MissingKey,
  planKeys,
  signingKey,
  withoutRevoked,
  withStates,
  withTimes,
} from './key-plan.ts';
import type { Clock, HeldKey, KeyHolder, KeyStore, StoredKey, TurningKeyRing } from './ports.ts';
import { createTurns } from './turns.ts';

export interface KeyRingConfig {
  readonly keyStore: KeyStore;
  readonly clock: Clock;
  readonly life: KeyLife;
  /** What the policy in force asks for; each has keys after the next refresh. */
  readonly algorithms: () => readonly TokenAlgorithm[];
  /** When what `keyStore.list` gave last was true, in milliseconds since the epoch; now by default. */
  readonly readAt?: (() => number) | undefined;
}

interface OpenedKey extends HeldKey {
  readonly stored: StoredKey;
}

/** What is asked of the keys, before they are planned. */
type Replan = (keys: readonly StoredKey[], nowMillis: number) => KeyPlan;

/** How long a key that was made and not stored may still be: a token that is to destroy such keys gives them longer. */
const spareMillis = 600_000;

/**
 * Makes the first keys where there are none; replicas that start at once agree on them. Rejects where the holder does
 * not open a stored key. A failed `refresh` leaves the ring as it was: it goes on with the plan that it knows.
 */
export async function openKeyRing(holder: KeyHolder, config: KeyRingConfig): Promise<TurningKeyRing> {
  const { keyStore, clock, life, algorithms, readAt = clock.now } = config;
  let opened: readonly OpenedKey[] = [];
  let spares: readonly StoredKey[] = [];
  let refreshedAt = clock.now();

  /** One at a time, so that a slow reading never overwrites a later one. */
  const inTurn = createTurns();

  /** Keys are made before the store is locked, and put in under the lock only where they are missing still. */
  async function carryOut(replan: Replan): Promise<void> {
    const nowMillis = clock.now();
    const plan = (keys: readonly StoredKey[]) => {
      const asked = replan(holder.rewrap?.(keys, nowMillis) ?? keys, nowMillis);
      const planned = planKeys(asked.keys, algorithms(), nowMillis, life);
      return { keys: planned.keys, asked: asked.missing, missing: [...asked.missing, ...planned.missing] };
    };
    let stored = await keyStore.list();
    const first = plan(stored);
    // A store that takes no change must not make a token fill up.
    spares = spares.filter(({ createdAt }) => nowMillis < createdAt + spareMillis);
    const makings = await Promise.allSettled(
      lacking(first.missing, spares).map((algorithm) => holder.make(algorithm, nowMillis)),
    );
    spares = [
      ...spares,
      ...makings.flatMap((making) => (making.status === 'fulfilled' ? [making.value] : [])),
    ];
    const made = spares;
    if (fill(first.missing, made, nowMillis).length > 0 || !isSame(first.keys, stored)) {
      const change = keyStore.change((keys) => {
        const { keys: planned, asked, missing } = plan(keys);
        // Others changed the keys meanwhile, so that another one is asked for than was made.
        if (fill(asked, made, nowMillis).length < asked.length) throw new OAuthError('admin.keys_conflict');
        return withStates([...planned, ...fill(missing, made, nowMillis)], nowMillis);
      });
      // A start with keys that are known, and a plan that cannot be written now, is better than none.
      stored = await change.catch((error) => {
        if (opened.length > 0 || stored.length === 0) throw error;
        return stored;
      });
    }
    spares = made.filter(({ kid }) => !stored.some((key) => key.kid === kid));
    opened = await open(stored, opened, holder);
    holder.note?.(stored);
    refreshedAt = Math.min(readAt(), nowMillis);
    if (refreshedAt === nowMillis) await holder.keepOnly?.(stored, nowMillis);
    // An algorithm that cannot be had stops none of the others.
    const failed = makings.find((making) => making.status === 'rejected');
    if (failed) throw failed.reason;
  }

  const storedKeys = () => opened.map(({ stored }) => stored);
  const refresh = () => inTurn(() => carryOut((keys) => ({ keys, missing: [] })));
  await refresh();
  return {
    signer: (algorithm = 'ES256') => {
      // Its keys may have left everybody's key set by the time that such a token is used.
      const staleAfterMillis = (life.retentionSeconds - longestTokenSeconds) * 1000;
      const isStale = clock.now() - refreshedAt > staleAfterMillis;
      const key = isStale ? undefined : signingKey(storedKeys(), algorithm, clock.now());
      const signer = opened.find(({ stored }) => stored === key)?.signer;
      if (signer === undefined) throw new OAuthError('server.signer_unavailable');
      return signer;
    },
    publicKeys: () => opened.map(({ publicJwk }) => publicJwk),
    refresh,
    list: () => withTimes(withStates(storedKeys(), clock.now()), life),
    rotate: (isEmergency) =>
      inTurn(() =>
        carryOut((keys, nowMillis) => ({
          keys: bringForward(keys, isEmergency, nowMillis, life),
          missing: [],
        })),
      ),
    revoke: (kid) => inTurn(() => carryOut((keys, nowMillis) => withoutRevoked(keys, kid, nowMillis))),
  };
}

function isSame(planned: readonly StoredKey[], stored: readonly StoredKey[]): boolean {
  const outline = (keys: readonly StoredKey[]) =>
    keys
      .map(
        ({ kid, state, activatesAt, wrappedPrivateKey }) =>
          `${kid} ${state} ${activatesAt} ${Buffer.from(wrappedPrivateKey).toString('base64')}`,
      )
      .toSorted();
  return outline(planned).join() === outline(stored).join();
}

/** The algorithms of which there are fewer spare keys than missing ones, as often. */
function lacking(missing: readonly MissingKey[], spares: readonly StoredKey[]): readonly TokenAlgorithm[] {
  const left = spares.map(({ algorithm }) => algorithm);
  return missing
    .map(({ algorithm }) => algorithm)
    .filter((algorithm) => {
      const index = left.indexOf(algorithm);
      if (index >= 0) left.splice(index, 1);
      return index < 0;
    });
}

function fill(
  missing: readonly MissingKey[],
  made: readonly StoredKey[],
  nowMillis: number,
): readonly StoredKey[] {
  const left = [...made];
  return missing.flatMap(({ algorithm, activatesAt }) => {
    const index = left.findIndex((key) => key.algorithm === algorithm);
    if (index < 0) return [];
    return left.splice(index, 1).map((key) => ({ ...key, activatesAt, createdAt: nowMillis }));
  });
}

/** Also keys that only verify are opened: what cannot be opened is not ours to publish. */
function open(
  stored: readonly StoredKey[],
  before: readonly OpenedKey[],
  holder: KeyHolder,
): Promise<readonly OpenedKey[]> {
  return Promise.all(
    stored.map(async (key) => {
      const { kid, algorithm } = key;
      const known = before.find(
        (other) =>
          other.stored.kid === kid &&
          other.stored.algorithm === algorithm &&
          isDeepStrictEqual(other.stored.wrappedPrivateKey, key.wrappedPrivateKey),
      );
      if (known !== undefined) return { ...known, stored: key };
      const held = await holder.open(key);
      if (held.publicJwk.kid !== kid) throw new Error(`signing key ${kid} is stored under another key's id`);
      return { ...held, stored: key };
    }),
  );
}
