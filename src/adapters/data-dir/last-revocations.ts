/** The revocations as last read from the database, on disk, beside the policy and the keys. */
import type { RevocationStore } from '../../core/ports.ts';
import type { Revocation } from '../../core/revocation.ts';
import type { SealedFile } from './sealed-file.ts';

export interface LastRevocationsParts {
  /** In the background. */
  readonly save: (parts: () => Iterable<string>) => void;
  /** What `read` gives where the last known state is young enough to start from; rejects with the error otherwise. */
  readonly fallBack: <T>(error: unknown, read: () => Promise<T>) => Promise<T>;
}

/**
 * The store, whose first reading falls back to the disk: a replica that never reached the database starts with what it
 * knew. Without the file it does not start, since an empty set would let revoked tokens pass.
 */
export function openLastRevocations(
  store: RevocationStore,
  file: SealedFile,
  { save, fallBack }: LastRevocationsParts,
): RevocationStore {
  /** What the file says or is about to, the last word on each target; undefined until this process has read the database. */
  let kept: Map<string, Revocation> | undefined;
  let isFromDisk = false;

  function keep(known: Map<string, Revocation>, revocations: readonly Revocation[]): void {
    for (const revocation of revocations) {
      const { kind, target, subjects } = revocation;
      known.set(`${kind} ${target} ${subjects}`, revocation);
    }
    kept = known;
    save(() => [JSON.stringify([...known.values()])]);
  }

  /** Only for the first reading: what is in memory is newer. */
  async function readKept(error: unknown): Promise<readonly Revocation[]> {
    if (kept !== undefined || isFromDisk) throw error;
    return await fallBack(error, async () => {
      const text = await file.read();
      if (text === undefined) throw error;
      return (JSON.parse(text) as Revocation[]).sort((one, other) => one.id - other.id);
    });
  }

  return {
    ...store,
    head: () => store.head().catch(async (error) => (await readKept(error)).at(-1)?.id ?? 0),
    load: async (above, nowMillis) => {
      // What came from the disk says less than the database may hold, so that its first reading is a whole one.
      const isWhole = above === 0 || kept === undefined;
      try {
        const loaded = await store.load(isWhole ? 0 : above, nowMillis);
        const known = [...(isWhole ? [] : (kept?.entries() ?? []))];
        keep(new Map(known.filter(([, { expiresAt }]) => expiresAt > nowMillis)), loaded);
        return loaded;
      } catch (error) {
        const found = await readKept(error);
        isFromDisk = true;
        return found;
      }
    },
    add: async (order) => {
      const made = await store.add(order);
      if (kept !== undefined) keep(kept, [made]);
      return made;
    },
  };
}
