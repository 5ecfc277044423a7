/** What the core asks of the store of policy: whole changes, counted revisions, and every one of them kept. */
import type { AuditEvent } from './audit.ts';
import type { DocumentName } from './policy/diff.ts';
import type { StoredDocument } from './policy/document.ts';

export interface StoredPolicy {
  /** 0 before the first change; each change adds one. */
  readonly revision: number;
  readonly documents: readonly StoredDocument[];
}

/** What changed since a revision. */
export interface PolicyDelta {
  readonly revision: number;
  readonly put: readonly StoredDocument[];
  readonly removed: readonly DocumentName[];
}

interface ChangeRecord {
  /** The revision that the writer saw; a store that is past it throws `RevisionConflict`. */
  readonly baseRevision: number;
  readonly author: string;
  readonly reason?: string;
  readonly at: number;
  /** What the audit keeps of it, durable together with the change or not at all. */
  readonly event: AuditEvent;
}

export interface PolicyChange extends ChangeRecord {
  /** The whole new policy. */
  readonly documents: readonly StoredDocument[];
}

/** A change of a few documents, in which none is named twice. */
export interface PolicyAmendment extends ChangeRecord {
  /** What is added, or differs from what is stored. */
  readonly put: readonly StoredDocument[];
  readonly removed: readonly DocumentName[];
}

export class RevisionConflict extends Error {
  override readonly name = 'RevisionConflict';
}

export interface PolicyStore {
  load(): Promise<StoredPolicy>;
  /** What changed since that revision; undefined where that is too much, or cannot be told apart. */
  loadSince(revision: number): Promise<PolicyDelta | undefined>;
  /** The current revision; cheap enough to ask every second. */
  revision(): Promise<number>;
  /**
   * Makes the change and appends its event, both or neither, and returns the new revision. A change that alters nothing
   * keeps the revision, and leaves its event. Throws an `OAuthError` `server.audit_unavailable` where the event is refused.
   */
  replace(change: PolicyChange): Promise<number>;
  /** The same for a change of a few documents, at a cost that the others do not add to. */
  amend(change: PolicyAmendment): Promise<number>;
  /** Calls back after another process may have changed the policy (a hint, not a promise). Returns how to stop. */
  onChange(listener: () => void): () => void;
}

export interface PolicyRevision {
  readonly revision: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly author: string;
  readonly reason: string | undefined;
}

/** A revision and the documents that it touched. */
export interface PolicyRevisionDetail extends PolicyRevision {
  readonly before: readonly StoredDocument[];
  readonly after: readonly StoredDocument[];
}

export interface RevisionFilter {
  readonly author?: string | undefined;
  /** Milliseconds since the epoch; the first moment that counts, and the first that does not. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  /** Only revisions below this one. */
  readonly below?: number | undefined;
  readonly limit: number;
}

/** Every change that a policy store has made. Revisions below 1 and above the current one there are none. */
export interface PolicyHistory {
  /** Newest first. */
  list(filter: RevisionFilter): Promise<readonly PolicyRevision[]>;
  find(revision: number): Promise<PolicyRevisionDetail | undefined>;
  /** The whole policy as it stood once that revision was made. */
  documentsAt(revision: number): Promise<readonly StoredDocument[] | undefined>;
}
