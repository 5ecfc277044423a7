/** The refusal of a write on documents that belong to the operator's policy file. */

/** A write over REST on documents that only the operator's file may change. */
export class ManagedByFile extends Error {
  override readonly name = 'ManagedByFile';
  /** `Grant/orders`. */
  readonly documents: readonly string[];

  constructor(documents: readonly string[]) {
    const listed = documents.slice(0, 10).join(', ');
    super(`managed by the operator's policy file, so change it there: ${listed}`);
    this.documents = documents;
  }
}
