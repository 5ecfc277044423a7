/** A change of the whole policy: which revision it is made on, and how the audit tells of it. */
import type { ChangeOutcome } from '../../core/policy/book.ts';

/** The policy's `ETag`. */
export function etagOf(revision: number): string {
  return `"${revision}"`;
}

/** The revision that `If-Match` names; undefined where any will do. */
export function revisionOf(ifMatch: string | undefined): number | undefined {
  return ifMatch === undefined || ifMatch === '*' ? undefined : Number(ifMatch.slice(1, -1));
}

/** One line for the audit. */
export function describeChange(
  { revision, diff: { added, changed, removed } }: ChangeOutcome,
  { isDryRun, reason }: { readonly isDryRun: boolean; readonly reason: string | undefined },
): string {
  const counts = `${added.length} added, ${changed.length} changed, ${removed.length} removed`;
  const what = isDryRun ? `dry run: ${counts}` : `${counts}; now at revision ${revision}`;
  return reason === undefined ? what : `${what}; reason: ${reason}`;
}
