/** Signing keys held in this process's memory, and encrypted in the store. */
import type { TokenAlgorithm } from '../../core/algorithm.ts';
import { OAuthError } from '../../core/error.ts';
import { type KeyLife, longestTokenSeconds } from '../../core/key-life.ts';
import {
  bringForward,
  type KeyPlan,
  type MissingKey,
  planKeys,
  signingKey,
  withoutRevoked,
  withStates,
} from '../../core/key-plan.ts';
import type { Clock, KeyStore, PublicJwk, Signer, StoredKey, TurningKeyRing } from '../../core/ports.ts';
import type { Secret } from '../../core/secret.ts';
import type { TokenFormat } from '../../core/token-format.ts';
import { makePrivateKey, toPublicJwk, toSigner } from './key-pair.ts';
import { requireKeyEncryptionKey, unwrap, wrap } from './wrap.ts';

export interface SoftwareKeysConfig {
  readonly keyStore: KeyStore;
  /** 32 bytes. */
  readonly keyEncryptionKey: Secret<Uint8Array>;
  /** What these keys sign; access tokens by default. */
  readonly format?: TokenFormat | undefined;
  readonly clock: Clock;
  readonly life: KeyLife;
  /** What the policy in force asks for; each has keys after the next refresh. */
  readonly algorithms: () => readonly TokenAlgorithm[];
  /** When what `keyStore.list` gave last was true, in milliseconds since the epoch; now by default. */
  readonly readAt?: (() => number) | undefined;
}

interface OpenedKey {
  readonly stored: StoredKey;
  readonly publicJwk: PublicJwk;
  readonly signer: Signer;
}

type Replan = (keys: readonly StoredKey[], nowMillis: number) => readonly StoredKey[];

/**
 * Makes the first keys where there are none; replicas that start at once agree on them. Rejects, and says so, where a
 * stored key does not decrypt. A failed `refresh` leaves the ring as it was: it goes on with the plan that it knows.
 */
export async function openSoftwareKeys(config: SoftwareKeysConfig): Promise<TurningKeyRing> {
  const { keyStore, keyEncryptionKey, format, clock, life, algorithms, readAt = clock.now } = config;
  requireKeyEncryptionKey(keyEncryptionKey);
  let opened: readonly OpenedKey[] = [];
  let refreshedAt = clock.now();
  let queue: Promise<unknown> = Promise.resolve();

  /** One at a time, so that a slow reading never overwrites a later one. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = queue.then(work);
    queue = turn.catch(() => undefined);
    return turn;
  }

  /** Keys are made before the store is locked, and put in under the lock only where they are missing still. */
  async function carryOut(replan: Replan): Promise<void> {
    const nowMillis = clock.now();
    const plan = (keys: readonly StoredKey[]): KeyPlan =>
      planKeys(replan(keys, nowMillis), algorithms(), nowMillis, life);
    let stored = await keyStore.list();
    const first = plan(stored);
    if (first.missing.length > 0 || !isSame(first.keys, stored)) {
      const made = await Promise.all(
        first.missing.map(({ algorithm }) => generate(algorithm, keyEncryptionKey, format, nowMillis)),
      );
      const change = keyStore.change((keys) => {
        const { keys: planned, missing } = plan(keys);
        return withStates([...planned, ...fill(missing, made)], nowMillis);
      });
      // A start with keys that are known, and a plan that cannot be written now, is better than none.
      stored = await change.catch((error) => {
        if (opened.length > 0 || stored.length === 0) throw error;
        return stored;
      });
    }
    opened = open(stored, opened, keyEncryptionKey, format);
    refreshedAt = Math.min(readAt(), nowMillis);
  }

  const storedKeys = () => opened.map(({ stored }) => stored);
  const refresh = () => inTurn(() => carryOut((keys) => keys));
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
    list: () => withStates(storedKeys(), clock.now()),
    rotate: (isEmergency) =>
      inTurn(() => carryOut((keys, nowMillis) => bringForward(keys, isEmergency, nowMillis, life))),
    revoke: (kid) => inTurn(() => carryOut((keys, nowMillis) => withoutRevoked(keys, kid, nowMillis))),
  };
}

function isSame(planned: readonly StoredKey[], stored: readonly StoredKey[]): boolean {
  const outline = (keys: readonly StoredKey[]) =>
    keys.map(({ kid, state, activatesAt }) => `${kid} ${state} ${activatesAt}`).toSorted();
  return outline(planned).join() === outline(stored).join();
}

function fill(missing: readonly MissingKey[], made: readonly StoredKey[]): readonly StoredKey[] {
  const spares = [...made];
  return missing.flatMap(({ algorithm, activatesAt }) => {
    const index = spares.findIndex((key) => key.algorithm === algorithm);
    return index < 0 ? [] : spares.splice(index, 1).map((key) => ({ ...key, activatesAt }));
  });
}

/**
 * Every key is decrypted, also those that only verify, and its public half derived from it: who can write to the
 * store but does not hold the key-encryption key cannot make us publish a key of theirs.
 */
function open(
  stored: readonly StoredKey[],
  before: readonly OpenedKey[],
  kek: Secret<Uint8Array>,
  format: TokenFormat | undefined,
): readonly OpenedKey[] {
  return stored.map((key) => {
    const { kid, algorithm } = key;
    const known = before.find(
      (other) =>
        other.stored.kid === kid &&
        other.stored.algorithm === algorithm &&
        Buffer.compare(other.stored.wrappedPrivateKey, key.wrappedPrivateKey) === 0,
    );
    if (known !== undefined) return { ...known, stored: key };
    const privateKey = unwrap(key.wrappedPrivateKey, kek, { kid, algorithm, format });
    const publicJwk = toPublicJwk(privateKey, algorithm);
    if (publicJwk.kid !== kid) throw new Error(`signing key ${kid} is stored under another key's id`);
    const signer = toSigner(kid, privateKey, algorithm);
    return { stored: key, publicJwk, signer };
  });
}

async function generate(
  algorithm: TokenAlgorithm,
  kek: Secret<Uint8Array>,
  format: TokenFormat | undefined,
  nowMillis: number,
): Promise<StoredKey> {
  const privateKey = await makePrivateKey(algorithm);
  const publicJwk = toPublicJwk(privateKey, algorithm);
  const { kid } = publicJwk;
  return {
    kid,
    algorithm,
    state: 'next',
    publicJwk,
    wrappedPrivateKey: wrap(privateKey, kek, { kid, algorithm, format }),
    createdAt: nowMillis,
    activatesAt: nowMillis,
  };
}
