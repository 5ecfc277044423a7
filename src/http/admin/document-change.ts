/** A change of one document: made on the whole policy, so that its every rule holds, and in nobody's way but its own document's. */
import { createHash } from 'node:crypto';
import type { AuditEvent } from '../../core/audit.ts';
import type { ChangeOutcome, Permit, PolicyBook, PolicyReplaced } from '../../core/policy/book.ts';
import type { Kind, StoredDocument } from '../../core/policy/document.ts';
import type { PolicyEdits } from '../../core/policy/edits.ts';
import { LastAdminRemoved, ManagedByFile, PolicyRefused } from '../../core/policy/refused.ts';
import type { PolicySnapshot } from '../../core/policy/snapshot.ts';
import type { PolicySource } from '../../core/policy/source.ts';
import { RevisionConflict } from '../../core/policy-store.ts';
import { createTurns } from '../../core/turns.ts';
import { AdminProblem } from './problem.ts';

export interface DocumentChange {
  readonly kind: Kind;
  readonly name: string;
  /** What the document becomes; undefined removes it. */
  readonly source: PolicySource | undefined;
  readonly ifMatch: string | undefined;
  readonly ifNoneMatch: string | undefined;
  readonly author: string;
  readonly reason: string | undefined;
  readonly dryRun: boolean;
  readonly permit: Permit;
  /** The event that is written with the change, both or neither. */
  readonly event: (outcome: ChangeOutcome, before: StoredDocument | undefined) => AuditEvent;
}

export interface DocumentChanged extends PolicyReplaced {
  /** The document before the change. */
  readonly before: StoredDocument | undefined;
}

export type ChangeDocument = (change: DocumentChange) => Promise<DocumentChanged>;

const maxAttempts = 10;

/** The document's own tag, which changes of other documents leave as it is. */
export function documentEtag({ body }: StoredDocument): string {
  return `"${createHash('sha256').update(JSON.stringify(body)).digest('base64url')}"`;
}

export function findDocument(
  documents: readonly StoredDocument[],
  kind: Kind,
  name: string,
): StoredDocument | undefined {
  return documents.find((document) => document.kind === kind && document.name === name);
}

/** Makes changes one after the other; where another replica was first, it looks again and retries. */
export function createChangeDocument(policyBook: PolicyBook): ChangeDocument {
  const inTurn = createTurns();
  return (change) => inTurn(() => changeWithRetries(policyBook, change));
}

async function changeWithRetries(policyBook: PolicyBook, change: DocumentChange): Promise<DocumentChanged> {
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    try {
      return await changeOnce(policyBook, change);
    } catch (error) {
      if (!(error instanceof RevisionConflict)) throw error;
    }
  }
  throw new AdminProblem('unavailable', {
    detail: 'Others kept changing the policy meanwhile; nothing was changed.',
    headers: { 'retry-after': '1' },
  });
}

async function changeOnce(policyBook: PolicyBook, change: DocumentChange): Promise<DocumentChanged> {
  await policyBook.refresh(); // another replica may just have changed it
  const { revision, documents } = policyBook.current();
  const before = findDocument(documents, change.kind, change.name);
  requirePreconditions(before, change);
  if (before?.managedBy === 'file') throw new ManagedByFile([`${change.kind}/${change.name}`]);
  try {
    const replaced = await policyBook.amend(editsFor(change), {
      managedBy: 'rest',
      author: change.author,
      reason: change.reason,
      ifRevision: revision,
      dryRun: change.dryRun,
      permit: change.permit,
      event: (outcome) => change.event(outcome, before),
    });
    return { ...replaced, before };
  } catch (error) {
    if (error instanceof LastAdminRemoved) throw error;
    throw change.source === undefined && error instanceof PolicyRefused ? inUse(change, error) : error;
  }
}

/** The policy as it would be with this document in it, which changes nothing. Throws like a change. */
export async function planDocument(
  policyBook: PolicyBook,
  kind: Kind,
  name: string,
  source: PolicySource,
): Promise<PolicySnapshot> {
  const plan = await policyBook.planAmendment(editsFor({ kind, name, source }), { managedBy: 'rest' });
  return plan.snapshot;
}

/** A source of another kind or name than the document's is refused before it comes here. */
function editsFor({ kind, name, source }: Pick<DocumentChange, 'kind' | 'name' | 'source'>): PolicyEdits {
  return source === undefined ? { put: [], remove: [{ kind, name }] } : { put: [source], remove: [] };
}

/** RFC 9110 §13.1.1 and §13.1.2. */
function requirePreconditions(before: StoredDocument | undefined, change: DocumentChange): void {
  const { ifMatch, ifNoneMatch } = change;
  const isMatch = before !== undefined && (ifMatch === '*' || ifMatch === documentEtag(before));
  if (ifMatch !== undefined && !isMatch) {
    throw new AdminProblem('etag-mismatch', { detail: 'The document is not the one that If-Match names.' });
  }
  if (ifNoneMatch !== undefined && before !== undefined) {
    throw new AdminProblem('etag-mismatch', { detail: 'The document exists already.' });
  }
}

/** The policy held with the document, so what does not hold without it needs it. */
function inUse({ kind, name }: DocumentChange, refused: PolicyRefused): AdminProblem {
  const users = [...new Set(refused.problems.map(({ document }) => document))].slice(0, 10).join(', ');
  const detail = `Nothing was changed: without ${kind}/${name}, these would not hold: ${users}`;
  const problems = refused.problems.map(({ document, field, message }) => ({ document, field, message }));
  return new AdminProblem('document-in-use', { detail, problems }, refused);
}
