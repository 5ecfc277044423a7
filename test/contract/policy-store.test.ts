/** The contract of PolicyStore. */
import { describe, expect, test, vi } from 'vitest';
import type { Json } from '../../src/core/json.ts';
import type { ManagedBy, StoredDocument } from '../../src/core/policy/document.ts';
import { type PolicyAmendment, type PolicyChange, RevisionConflict } from '../../src/core/policy-store.ts';
import { describeSql, policyEvent, select } from './backends.ts';

const at = Date.UTC(2026, 5, 1, 12, 0, 0, 123);

function grant(
  name: string,
  spec: Json = { resource: 'inventory' },
  managedBy: ManagedBy = 'rest',
): StoredDocument {
  return {
    kind: 'Grant',
    name,
    managedBy,
    body: { apiVersion: 'mintmark/v1', kind: 'Grant', metadata: { name }, spec },
  };
}

function change(baseRevision: number, documents: readonly StoredDocument[]): PolicyChange {
  return {
    baseRevision,
    documents,
    author: 'spiffe://mintmark.example/admin',
    reason: 'a test',
    at,
    event: policyEvent(at),
  };
}

describeSql('policy store', (backend) => {
  test('begins empty at revision 0', async () => {
    expect(await backend.stores.policy.load()).toEqual({ revision: 0, documents: [] });
    expect(await backend.stores.policy.revision()).toBe(0);
  });

  test('gives back each document as it was written', async () => {
    const { policy } = backend.stores;
    const awkward = grant('awkward', {
      zebra: 1,
      apple: ['a "quoted" \\ {comma,} NULL', '', "it's", 'NULL'],
      unicode: 'déjà \u{1f511} \u0000 \ud800',
      number: 1.5e-7,
      nothing: null,
      nested: { truth: true, empty: {}, list: [] },
    });
    const documents = [awkward, grant('orders', { resource: 'inventory' }, 'file')];
    expect(await policy.replace(change(0, documents))).toBe(1);
    const loaded = await policy.load();
    expect(loaded).toEqual({ revision: 1, documents });
    // The order of keys too, which toEqual does not look at.
    expect(JSON.stringify(loaded.documents)).toBe(JSON.stringify(documents));
  });

  test('replaces the whole policy, and keeps what each change did', async () => {
    const { policy } = backend.stores;
    await policy.replace(change(0, [grant('kept'), grant('altered'), grant('dropped')]));
    const second = [grant('kept'), grant('altered', { resource: 'orders' }), grant('new')];
    expect(await policy.replace(change(1, second))).toBe(2);
    expect((await policy.load()).documents).toEqual([
      grant('altered', { resource: 'orders' }),
      grant('kept'),
      grant('new'),
    ]);
    const changes = await select<{ name: string; before: Json; after: Json }>(
      backend.database,
      'select name, before, after from policy_changes where revision = 2 order by name',
    );
    const stored = ({ managedBy, body }: StoredDocument) => ({ managedBy, body });
    expect(changes).toEqual([
      {
        name: 'altered',
        before: stored(grant('altered')),
        after: stored(grant('altered', { resource: 'orders' })),
      },
      { name: 'dropped', before: stored(grant('dropped')), after: null },
      { name: 'new', before: null, after: stored(grant('new')) },
    ]);
    const [revision] = await select<{ at: Date; author: string; reason: string }>(
      backend.database,
      'select at, author, reason from policy_revisions where revision = 2',
    );
    expect(revision).toEqual({
      at: new Date(at),
      author: 'spiffe://mintmark.example/admin',
      reason: 'a test',
    });
  });

  test('a change that alters nothing keeps the revision; a change of who manages it does not', async () => {
    const { policy } = backend.stores;
    await policy.replace(change(0, [grant('a'), grant('b')]));
    expect(await policy.replace(change(1, [grant('b'), grant('a')]))).toBe(1);
    expect(await policy.revision()).toBe(1);
    expect(await policy.replace(change(1, [grant('b'), grant('a', { resource: 'inventory' }, 'file')]))).toBe(
      2,
    );
  });

  test('refuses a change made on another revision, and changes nothing', async () => {
    const { policy } = backend.stores;
    await policy.replace(change(0, [grant('a')]));
    await expect(policy.replace(change(0, [grant('b')]))).rejects.toThrow(RevisionConflict);
    await expect(policy.replace(change(2, [grant('b')]))).rejects.toThrow(RevisionConflict);
    expect(await policy.load()).toEqual({ revision: 1, documents: [grant('a')] });
  });

  test('refuses a document given twice, and changes nothing', async () => {
    const { policy } = backend.stores;
    await expect(policy.replace(change(0, [grant('a'), grant('a')]))).rejects.toThrow('Grant/a twice');
    expect(await policy.revision()).toBe(0);
  });

  test.each([
    ['that a constraint refuses', 'alter table audit_events add constraint broken check (false) not valid'],
    ['whose table is gone', 'alter table audit_events rename to audit_events_away'],
  ])('makes no change without its event, %s', async (_what, breakAudit) => {
    const { policy } = backend.stores;
    expect(await policy.replace(change(0, [grant('a')]))).toBe(1); // the control
    await backend.database.transaction(({ script }) => script(breakAudit));
    for (const documents of [[grant('b')], [grant('a')], []]) {
      await expect(policy.replace(change(1, documents))).rejects.toMatchObject({
        reason: 'server.audit_unavailable',
      });
    }
    expect(await policy.load()).toEqual({ revision: 1, documents: [grant('a')] });
    const history = 'select revision from policy_revisions union all select revision from policy_changes';
    expect((await select(backend.database, history)).length).toBe(2);
  });

  test('leaves the event of each change, and of one that alters nothing', async () => {
    const { policy, audit } = backend.stores;
    const first = change(0, [grant('a')]);
    const same = change(1, [grant('a')]);
    expect([await policy.replace(first), await policy.replace(same)]).toEqual([1, 1]);
    expect(await audit.find(first.event.requestId)).toEqual(first.event);
    expect(await audit.find(same.event.requestId)).toEqual(same.event);
  });

  test('leaves no event of a change that it refuses', async () => {
    const { policy, audit } = backend.stores;
    const [late, twice] = [change(3, [grant('a')]), change(0, [grant('a'), grant('a')])];
    await expect(policy.replace(late)).rejects.toThrow(RevisionConflict);
    await expect(policy.replace(twice)).rejects.toThrow('Grant/a twice');
    for (const { event } of [late, twice]) expect(await audit.find(event.requestId)).toBeUndefined();
  });

  describe('an amendment', () => {
    const amendment = (
      baseRevision: number,
      put: readonly StoredDocument[],
      removed: PolicyAmendment['removed'] = [],
    ): PolicyAmendment => {
      const { documents: _, ...record } = change(baseRevision, []);
      return { ...record, put, removed };
    };
    const named = (name: string) => ({ kind: 'Grant' as const, name });

    test('changes the documents that it names, and no others', async () => {
      const { policy, audit } = backend.stores;
      await policy.replace(change(0, [grant('a'), grant('b'), grant('c')]));
      const made = amendment(1, [grant('b', { resource: 'orders' }), grant('d')], [named('a')]);
      expect(await policy.amend(made)).toBe(2);
      expect(await audit.find(made.event.requestId)).toEqual(made.event);
      const documents = [grant('b', { resource: 'orders' }), grant('c'), grant('d')];
      expect(await policy.load()).toEqual({ revision: 2, documents });
      expect(await backend.stores.policyHistory.find(2)).toMatchObject({
        before: expect.arrayContaining([grant('a'), grant('b')]),
        after: expect.arrayContaining([grant('b', { resource: 'orders' }), grant('d')]),
      });
    });

    test('of nothing keeps the revision, and leaves its event', async () => {
      const { policy, audit } = backend.stores;
      await policy.replace(change(0, [grant('a')]));
      const same = amendment(1, []);
      expect(await policy.amend(same)).toBe(1);
      expect(await audit.find(same.event.requestId)).toEqual(same.event);
    });

    test('made on another revision is refused, and leaves nothing', async () => {
      const { policy, audit } = backend.stores;
      await policy.replace(change(0, [grant('a')]));
      const late = amendment(0, [grant('b')], [named('a')]);
      await expect(policy.amend(late)).rejects.toThrow(RevisionConflict);
      expect(await policy.load()).toEqual({ revision: 1, documents: [grant('a')] });
      expect(await audit.find(late.event.requestId)).toBeUndefined();
    });

    test('whose event is refused is not made', async () => {
      const { policy } = backend.stores;
      await policy.replace(change(0, [grant('a')]));
      await backend.database.transaction(({ script }) =>
        script('alter table audit_events add constraint broken check (false) not valid'),
      );
      await expect(policy.amend(amendment(1, [grant('b')]))).rejects.toMatchObject({
        reason: 'server.audit_unavailable',
      });
      expect(await policy.load()).toEqual({ revision: 1, documents: [grant('a')] });
    });

    test('is what has changed since the revision before, as are whole changes', async () => {
      const { policy } = backend.stores;
      await policy.replace(change(0, [grant('a'), grant('b')]));
      await policy.amend(amendment(1, [grant('c'), grant('e')], [named('a')]));
      await policy.amend(amendment(2, [grant('c', { resource: 'orders' })], [named('e')]));
      const reader = backend.replica().policy;
      const [one, two, none] = [
        await reader.loadSince(1),
        await reader.loadSince(2),
        await reader.loadSince(3),
      ];
      expect(one?.revision).toBe(3);
      expect(one?.put).toEqual([grant('c', { resource: 'orders' })]);
      expect(one?.removed).toHaveLength(2);
      expect(one?.removed).toEqual(expect.arrayContaining([named('a'), named('e')]));
      expect(two).toEqual({ revision: 3, put: [grant('c', { resource: 'orders' })], removed: [named('e')] });
      expect(none).toEqual({ revision: 3, put: [], removed: [] });
    });

    test('past a thousand documents is not told apart from the rest', async () => {
      const { policy } = backend.stores;
      const many = (count: number) => Array.from({ length: count }, (_, index) => grant(`g-${index}`));
      await policy.replace(change(0, many(1_000)));
      expect((await policy.loadSince(0))?.put).toHaveLength(1_000);
      await policy.amend(amendment(1, [grant('one more')]));
      expect(await policy.loadSince(0)).toBeUndefined();
      expect((await policy.loadSince(1))?.put).toHaveLength(1);
    });
  });

  test('of ten changes at once on one revision exactly one is made', async () => {
    const writers = Array.from({ length: 10 }, (_, index) => {
      const { policy } = index < 2 ? backend.replica() : backend.stores;
      return policy.replace(change(0, [grant(`writer-${index}`)]));
    });
    const results = await Promise.allSettled(writers);
    const made = results.filter(({ status }) => status === 'fulfilled');
    const refused = results.filter(
      (result) => result.status === 'rejected' && result.reason instanceof RevisionConflict,
    );
    expect([made.length, refused.length]).toEqual([1, 9]);
    const { revision, documents } = await backend.stores.policy.load();
    expect([revision, documents.length]).toEqual([1, 1]);
  });

  test('a reader beside a writer never sees half a change', async () => {
    const { policy } = backend.stores;
    const reader = backend.replica().policy;
    let isWriting = true;
    const read = async () => {
      const seen: { revision: number; names: number[] }[] = [];
      while (isWriting) {
        const { revision, documents } = await reader.load();
        seen.push({ revision, names: documents.map(({ name }) => Number(name.split('-')[0])) });
      }
      return seen;
    };
    const seen = read();
    for (let revision = 0; revision < 20; revision += 1) {
      await policy.replace(
        change(
          revision,
          [1, 2, 3].map((index) => grant(`${revision + 1}-${index}`)),
        ),
      );
    }
    isWriting = false;
    const snapshots = await seen;
    expect(snapshots.length).toBeGreaterThan(0);
    for (const { revision, names } of snapshots) {
      expect(names).toEqual(revision === 0 ? [] : [revision, revision, revision]);
    }
  });

  test('tells other replicas of a change until they stop listening', async () => {
    const listener = vi.fn();
    const stop = backend.replica().policy.onChange(listener);
    // Listening begins in the background; changes are made until one is heard.
    let revision = 0;
    await vi.waitFor(
      async () => {
        revision = await backend.stores.policy.replace(change(revision, [grant(`g-${revision}`)]));
        expect(listener).toHaveBeenCalled();
      },
      { timeout: 10_000, interval: 100 },
    );
    stop();
    listener.mockClear();
    const control = vi.fn();
    const stopControl = backend.stores.policy.onChange(control);
    await vi.waitFor(
      async () => {
        revision = await backend.stores.policy.replace(change(revision, [grant(`g-${revision}`)]));
        expect(control).toHaveBeenCalled();
      },
      { timeout: 10_000, interval: 100 },
    );
    stopControl();
    expect(listener).not.toHaveBeenCalled();
  });

  test('writes only what changed among 100,000 grants', { timeout: 120_000 }, async () => {
    const { policy } = backend.stores;
    const documents = Array.from({ length: 100_000 }, (_, index) =>
      grant(`grant-${String(index).padStart(6, '0')}`, {
        subjects: [{ spiffeId: `spiffe://prod.example/workload-${index}` }],
        resource: 'inventory',
        scopes: ['items:read', 'items:write'],
      }),
    );
    const started = performance.now();
    await policy.replace(change(0, documents));
    const written = performance.now();
    await policy.replace(change(1, documents.with(50_000, grant('grant-050000', { resource: 'orders' }))));
    const altered = performance.now();
    expect((await policy.load()).documents.length).toBe(100_000);
    const loaded = performance.now();
    const lap = (from: number, to: number) => `${Math.round(to - from)} ms`;
    console.log(
      `100,000 grants: write ${lap(started, written)}, change one ${lap(written, altered)}, load ${lap(altered, loaded)}`,
    );
    const rows = await select<{ name: string }>(
      backend.database,
      'select name from policy_documents where revision = 2',
    );
    expect(rows).toEqual([{ name: 'grant-050000' }]);
    const { documents: _, ...record } = change(2, []);
    const before = performance.now();
    await policy.amend({ ...record, put: [grant('grant-050001', { resource: 'orders' })], removed: [] });
    const amended = performance.now();
    expect((await policy.loadSince(2))?.put).toHaveLength(1);
    console.log(
      `100,000 grants: amend one ${lap(before, amended)}, read it ${lap(amended, performance.now())}`,
    );
  });
});
