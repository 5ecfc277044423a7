/** The policy, the signing keys and the revocations as last read from the database, on disk, so that a replica can start while it is away. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { withChanges } from '../../core/policy/edits.ts';
import type {
  PolicyAmendment,
  PolicyChange,
  PolicyDelta,
  PolicyStore,
  StoredPolicy,
} from '../../core/policy-store.ts';
import type { Clock, KeyStore, RevocationStore, StoredKey } from '../../core/ports.ts';
import type { Secret } from '../../core/secret.ts';
import { openLastRevocations } from './last-revocations.ts';
import { type SealedFile, sealedFile } from './sealed-file.ts';

export interface LastKnownOptions {
  readonly folder: string;
  readonly keyEncryptionKey: Secret<Uint8Array>;
  /** Under which the files of an earlier process may be sealed. */
  readonly previousKeyEncryptionKey?: Secret<Uint8Array> | undefined;
  readonly stores: {
    readonly policy: PolicyStore;
    readonly keys: KeyStore;
    readonly svidKeys: KeyStore;
    readonly revocations: RevocationStore;
  };
  readonly clock: Clock;
  /** How old a state may be that a replica starts from. */
  readonly maxAgeSeconds?: number;
  readonly log: (message: string, details: object) => void;
}

export interface LastKnown {
  /** The stores, whose first reading falls back to the disk. */
  readonly policy: PolicyStore;
  readonly revocations: RevocationStore;
  readonly keys: KnownKeys;
  readonly svidKeys: KnownKeys;
  /** Whether this process has not seen the database yet. */
  readonly isFromDisk: () => boolean;
}

interface KnownKeys extends KeyStore {
  /** When what its last reading gave was true, in milliseconds since the epoch. */
  readonly readAt: () => number;
}

interface KeptKeys {
  readonly at: number;
  readonly policyRevision: number;
  readonly keys: readonly (Omit<StoredKey, 'wrappedPrivateKey'> & { readonly wrappedPrivateKey: string })[];
}

const keepEveryMillis = 60_000;
/** How many times as long as a write takes until the next one begins. */
const restsPerWrite = 9;
const longestRestMillis = 10_000;
const daySeconds = 86_400;

/**
 * Policy goes to disk when its revision changes, keys with the time every minute. Both are sealed, and the private keys
 * are encrypted as they are in the database. Only a process that never reached the database reads them.
 */
export async function openLastKnown(options: LastKnownOptions): Promise<LastKnown> {
  const { folder, keyEncryptionKey, stores, clock, log, maxAgeSeconds = daySeconds } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const previous = options.previousKeyEncryptionKey;
  const openFile = (name: string, purpose: string) =>
    sealedFile(join(folder, name), keyEncryptionKey, purpose, previous);
  const policyFile = openFile('policy.ndjson', 'policy');
  const keysFile = openFile('keys.json', 'keys');
  const revocationsFile = openFile('revocations.json', 'revocations');
  let policy: StoredPolicy | undefined;
  let fromDisk = false;
  /** What each file that is under way shall hold next, where that has changed meanwhile. */
  const waiting = new Map<SealedFile, (() => Iterable<string>) | undefined>();

  /** In the background; of changes that come faster than the disk takes them, the last. */
  function save(file: SealedFile, parts: () => Iterable<string>): void {
    const isUnderWay = waiting.has(file);
    waiting.set(file, parts);
    if (!isUnderWay) void write(file, parts);
  }

  /** Rests most of the time: a large policy that changes often must not keep the processor. */
  async function write(file: SealedFile, parts: () => Iterable<string>): Promise<void> {
    waiting.set(file, undefined);
    const began = clock.now();
    // A disk that does not take it costs a colder start and nothing else.
    await file.write(parts()).catch((error) => log('the last known state could not be kept', { err: error }));
    const restMillis = Math.min((clock.now() - began) * restsPerWrite, longestRestMillis);
    await sleep(restMillis, undefined, { ref: false });
    const next = waiting.get(file);
    if (next === undefined) waiting.delete(file);
    else void write(file, next);
  }

  async function fallBack<T>(
    error: unknown,
    file: SealedFile,
    read: (kept: KeptKeys) => Promise<T>,
  ): Promise<T> {
    const kept = await readKeys(file);
    const ageSeconds = kept && Math.floor((clock.now() - kept.at) / 1000);
    if (kept === undefined || ageSeconds === undefined || ageSeconds > maxAgeSeconds) throw error;
    if (!fromDisk)
      log('the database is away: starting from the last known state', { ageSeconds, err: error });
    fromDisk = true;
    return await read(kept);
  }

  async function load(): Promise<StoredPolicy> {
    try {
      const stored = await stores.policy.load();
      fromDisk = false;
      keepPolicy(stored);
      return stored;
    } catch (error) {
      if (policy !== undefined) throw error; // what is in memory is newer
      return await fallBack(error, keysFile, async ({ policyRevision: revision }) => {
        const kept = parsePolicy(await policyFile.read());
        // Between the two files' writing: the policy is newer than the keys' note of it, or is not there yet.
        if (kept === undefined || kept.revision < revision) throw error;
        return kept;
      });
    }
  }

  async function loadSince(revision: number): Promise<PolicyDelta | undefined> {
    const delta = await stores.policy.loadSince(revision);
    if (delta === undefined || policy?.revision !== revision) return undefined; // then all of it is loaded, and kept
    fromDisk = false;
    keepPolicy({ revision: delta.revision, documents: withChanges(policy.documents, delta) });
    return delta;
  }

  async function replace(change: PolicyChange): Promise<number> {
    const revision = await stores.policy.replace(change);
    keepPolicy({ revision, documents: change.documents });
    return revision;
  }

  async function amend(change: PolicyAmendment): Promise<number> {
    const revision = await stores.policy.amend(change);
    if (policy?.revision === change.baseRevision) {
      keepPolicy({ revision, documents: withChanges(policy.documents, change) });
    }
    return revision;
  }

  function keepPolicy(stored: StoredPolicy): void {
    if (stored.revision === policy?.revision) return;
    policy = stored;
    save(policyFile, () => policyLines(stored));
  }

  function knownKeys(store: KeyStore, file: SealedFile): KnownKeys {
    let keptText: string | undefined;
    let keptAt = 0;
    let readAt = clock.now();

    async function list(): Promise<readonly StoredKey[]> {
      try {
        const keys = await store.list();
        readAt = clock.now();
        fromDisk = false;
        keep(keys);
        return keys;
      } catch (error) {
        if (keptText !== undefined) throw error;
        return await fallBack(error, file, async ({ at, keys }) => {
          readAt = at;
          return keys.map((key) => ({
            ...key,
            wrappedPrivateKey: Buffer.from(key.wrappedPrivateKey, 'base64'),
          }));
        });
      }
    }

    function keep(keys: readonly StoredKey[]): void {
      const written = keys.map((key) => ({
        ...key,
        wrappedPrivateKey: Buffer.from(key.wrappedPrivateKey).toString('base64'),
      }));
      const text = JSON.stringify(written);
      if (text === keptText && clock.now() < keptAt + keepEveryMillis) return;
      keptText = text;
      keptAt = clock.now();
      const kept: KeptKeys = { at: keptAt, policyRevision: policy?.revision ?? 0, keys: written };
      save(file, () => [JSON.stringify(kept)]);
    }

    return { ...store, list, readAt: () => readAt };
  }

  return {
    policy: { ...stores.policy, load, loadSince, replace, amend },
    keys: knownKeys(stores.keys, keysFile),
    svidKeys: knownKeys(stores.svidKeys, openFile('svid-keys.json', 'svid-keys')),
    revocations: openLastRevocations(stores.revocations, revocationsFile, {
      save: (parts) => save(revocationsFile, parts),
      fallBack: (error, read) => fallBack(error, keysFile, read),
    }),
    isFromDisk: () => fromDisk,
  };
}

/** A line a document, the revision first. */
function* policyLines({ revision, documents }: StoredPolicy): Iterable<string> {
  yield JSON.stringify({ revision, count: documents.length });
  for (const document of documents) yield `\n${JSON.stringify(document)}`;
}

function parsePolicy(text: string | undefined): StoredPolicy | undefined {
  if (text === undefined) return undefined;
  const [head = '', ...lines] = text.split('\n');
  const { revision } = JSON.parse(head) as { revision: number };
  return { revision, documents: lines.map((line) => JSON.parse(line)) };
}

async function readKeys(file: SealedFile): Promise<KeptKeys | undefined> {
  const text = await file.read();
  return text === undefined ? undefined : (JSON.parse(text) as KeptKeys);
}
