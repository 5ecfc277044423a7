/** A policy store in memory, by the rules of the port: whole changes, counted revisions, conflicts for late writers. */
import { diffPolicies, isEmptyDiff } from '../../../src/core/policy/diff.ts';
import type { StoredDocument } from '../../../src/core/policy/document.ts';
import { type PolicyChange, type PolicyStore, RevisionConflict } from '../../../src/core/policy-store.ts';

export interface MemoryPolicyStore extends PolicyStore {
  readonly changes: PolicyChange[];
  /** Also of changes that altered nothing. */
  readonly events: PolicyChange['event'][];
  /** Another replica's write. */
  put(documents: readonly StoredDocument[]): void;
  /** How often everything was read. */
  loads: number;
  tellsDeltas: boolean;
  failure: Error | undefined;
  /** What `load` waits for before it answers with what it has read. */
  delay: Promise<void> | undefined;
}

export function memoryPolicyStore(): MemoryPolicyStore {
  let revision = 0;
  let documents: readonly StoredDocument[] = [];
  const history = new Map([[revision, documents]]);
  const listeners = new Set<() => void>();
  const store: MemoryPolicyStore = {
    changes: [],
    events: [],
    loads: 0,
    tellsDeltas: true,
    failure: undefined,
    delay: undefined,
    async load() {
      store.loads += 1;
      const answer = { revision, documents };
      await store.delay;
      if (store.failure) throw store.failure;
      return answer;
    },
    async revision() {
      if (store.failure) throw store.failure;
      return revision;
    },
    async loadSince(since) {
      if (store.failure) throw store.failure;
      const before = history.get(since);
      if (before === undefined || !store.tellsDeltas) return undefined;
      const { added, changed, removed } = diffPolicies(before, documents);
      const names = new Set([...added, ...changed].map(({ kind, name }) => `${kind}/${name}`));
      const put = documents.filter(({ kind, name }) => names.has(`${kind}/${name}`));
      return { revision, put, removed };
    },
    async amend({ put, removed, ...change }) {
      const names = new Set([...put, ...removed].map(({ kind, name }) => `${kind}/${name}`));
      const kept = documents.filter(({ kind, name }) => !names.has(`${kind}/${name}`));
      return store.replace({ ...change, documents: [...kept, ...put] });
    },
    async replace(change) {
      if (change.baseRevision !== revision) throw new RevisionConflict('late');
      store.events.push(change.event);
      if (isEmptyDiff(diffPolicies(documents, change.documents))) return revision;
      store.changes.push(change);
      store.put(change.documents);
      return revision;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    put(next) {
      documents = next;
      revision += 1;
      history.set(revision, documents);
      for (const listener of listeners) listener();
    },
  };
  return store;
}
