/** Changes of single documents through several replicas of the server on one store. */
import { expect, test } from 'vitest';
import { createPolicyBook } from '../../src/core/policy/book.ts';
import type { PolicySource } from '../../src/core/policy/source.ts';
import { createChangeDocument, type DocumentChange } from '../../src/http/admin/document-change.ts';
import { resource } from '../http/admin/admin-calls.ts';
import { context } from '../unit/policy/example-policy.ts';
import { describeSql, policyEvent, select } from './backends.ts';

describeSql('the change of one document', (backend) => {
  const openReplica = () => {
    const book = createPolicyBook({
      store: backend.replica().policy,
      context,
      clock: backend.clock,
      onProblem: (error) => {
        throw error;
      },
    });
    return createChangeDocument(book);
  };
  const put = (name: string, options: Partial<DocumentChange> = {}, spec: object = {}): DocumentChange => {
    const source: PolicySource = {
      value: resource(name, spec),
      managedBy: 'rest',
      locate: () => ({}),
    };
    return {
      kind: 'Resource',
      name,
      source,
      ifMatch: undefined,
      ifNoneMatch: undefined,
      author: 'test',
      reason: undefined,
      dryRun: false,
      permit: () => {},
      event: () => policyEvent(backend.clock.now()),
      ...options,
    };
  };
  const stored = async () => (await backend.stores.policy.load()).documents.map(({ name }) => name).sort();

  test('is nobody’s loss when three replicas change different documents at once', async () => {
    const replicas = [openReplica(), openReplica(), openReplica()];
    const names = Array.from({ length: 9 }, (_, index) => `r-${index}`);
    await Promise.all(names.map((name, index) => replicas[index % 3]?.(put(name))));
    expect(await stored()).toEqual(names);
    expect(await backend.stores.policy.revision()).toBe(names.length);
    const [events] = await select<{ count: string | number }>(
      backend.database,
      'select count(*) from audit_events',
    );
    expect(Number(events?.count)).toBe(names.length); // those whose revision was taken left none
  });

  test('is made by one of two replicas that must both be first', async () => {
    const results = await Promise.allSettled(
      [openReplica(), openReplica()].map((change, index) =>
        change(put('one', { ifNoneMatch: '*' }, { tokenLifetime: `${index + 1}m` })),
      ),
    );
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    expect(refused).toMatchObject([{ slug: 'etag-mismatch', reason: 'admin.revision_conflict' }]);
    expect(await backend.stores.policy.revision()).toBe(1);
  });
});
