import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../../src/core/audit.ts';
import { adminAudience } from '../../../src/core/policy/admin-resource.ts';
import { type ChangeOutcome, createPolicyBook, type Permit } from '../../../src/core/policy/book.ts';
import type { StoredDocument } from '../../../src/core/policy/document.ts';
import { ManagedByFile, PolicyRefused } from '../../../src/core/policy/refused.ts';
import { type PolicySource, sourcesFromStored } from '../../../src/core/policy/source.ts';
import { RevisionConflict } from '../../../src/core/policy-store.ts';
import { context } from './example-policy.ts';
import { memoryPolicyStore } from './memory-policy-store.ts';

const at = 1_780_000_000_000;
const body = (name: string, scopes: readonly string[] = ['a']) => ({
  apiVersion: 'mintmark/v1',
  kind: 'Resource',
  metadata: { name },
  spec: { audience: `https://${name}.example`, scopes },
});
const source = (name: string, scopes?: readonly string[]): PolicySource => ({
  value: body(name, scopes),
  managedBy: 'rest',
  locate: () => ({}),
});
const stored = (name: string, managedBy: 'rest' | 'file' = 'rest'): StoredDocument => ({
  kind: 'Resource',
  name,
  managedBy,
  body: body(name),
});
const wrong: PolicySource = { value: { ...body('a'), spec: {} }, managedBy: 'rest', locate: () => ({}) };

const event = ({ revision, diff }: ChangeOutcome): AuditEvent => ({
  requestId: 'r',
  at,
  outcome: 'permitted',
  action: 'admin.policy.replace',
  remoteAddress: '192.0.2.1',
  summary: `${diff.added.length} added, revision ${revision}`,
});

const permit = () => {};

function open() {
  const store = memoryPolicyStore();
  const problems: unknown[] = [];
  const book = createPolicyBook({
    store,
    context,
    clock: { now: () => at },
    onProblem: (error) => problems.push(error),
  });
  const ownAudiences = [adminAudience(context.issuer), context.issuer];
  const audiences = () =>
    [...book.current().resourcesByAudience.keys()].filter((audience) => !ownAudiences.includes(audience));
  return { store, book, problems, audiences };
}

describe('the policy in force', () => {
  it('is unavailable before the first load, and empty after a load of nothing', async () => {
    const { book } = open();
    expect(() => book.current()).toThrow(expect.objectContaining({ reason: 'policy.unavailable' }));
    await book.refresh();
    expect(book.current()).toMatchObject({ revision: 0, documents: [] });
  });

  it('follows the store, and loads only where the revision moved', async () => {
    const { store, book, audiences } = open();
    store.put([stored('a')]);
    await book.refresh();
    expect(audiences()).toEqual(['https://a.example']);
    await book.refresh();
    expect(store.loads).toBe(1);
    store.put([stored('a'), stored('b')]);
    await book.refresh();
    expect(audiences()).toEqual(['https://a.example', 'https://b.example']);
    expect(book.current().revision).toBe(2);
  });

  it('stays where the stored policy no longer compiles, which is reported once', async () => {
    const { store, book, problems, audiences } = open();
    store.put([stored('a')]);
    await book.refresh();
    store.put([{ ...stored('b'), body: { nonsense: true } }]);
    await book.refresh();
    await book.refresh();
    expect(audiences()).toEqual(['https://a.example']);
    expect(problems).toEqual([expect.any(PolicyRefused)]);
    store.put([stored('c')]);
    await book.refresh();
    expect(audiences()).toEqual(['https://c.example']);
  });

  it('stays where the store cannot be read', async () => {
    const { store, book, audiences } = open();
    store.put([stored('a')]);
    await book.refresh();
    store.failure = new Error('lost');
    await expect(book.refresh()).rejects.toThrow('lost');
    expect(audiences()).toEqual(['https://a.example']);
    store.failure = undefined;
    await book.refresh();
  });

  it('is never set back by a slow load that a change overtook', async () => {
    const { store, book, audiences } = open();
    store.put([stored('a')]);
    let answer: () => void = () => undefined;
    store.delay = new Promise((resolve) => {
      answer = resolve;
    });
    const slow = book.refresh();
    await expect.poll(() => store.loads).toBe(1); // it has read `a`, and its answer is on the way
    store.delay = undefined;
    const change = book.replace([source('b')], { author: 'ann', managedBy: 'rest', permit, event });
    await sleep(10);
    answer();
    await Promise.all([slow, change]);
    expect(audiences()).toEqual(['https://b.example']);
  });

  it('is refreshed by the store’s hint and by polling, until the watch stops', async () => {
    const { store, book, problems, audiences } = open();
    await book.refresh();
    const stop = book.watch({ pollMillis: 5 });
    store.put([stored('a')]); // hints
    await expect.poll(audiences).toEqual(['https://a.example']);
    store.failure = new Error('lost');
    await expect.poll(() => problems.length).toBeGreaterThan(0); // polled
    store.failure = undefined;
    stop();
    await sleep(20);
    store.put([stored('b')]);
    await sleep(20);
    expect(audiences()).toEqual(['https://a.example']);
  });
});

describe('a change of policy', () => {
  const rest = { author: 'ann', managedBy: 'rest', permit, event } as const;

  it.each([false, true])(
    'is not made or told where its author may not make it (dry run: %s)',
    async (dryRun) => {
      const { store, book } = open();
      await book.replace([source('a')], rest);
      const asked: unknown[] = [];
      const refuse: Permit = (before, after) => {
        asked.push([before, after].map((documents) => documents.map(({ name }) => name)));
        throw new Error('not you');
      };
      await expect(book.replace([source('b')], { ...rest, permit: refuse, dryRun })).rejects.toThrow(
        'not you',
      );
      expect(asked).toEqual([[['a'], ['b']]]);
      expect([store.changes.length, store.events.length]).toEqual([1, 1]);
      expect(book.current().documents).toMatchObject([{ name: 'a' }]);
    },
  );

  it('can be made of what is stored, as it stands when the change is planned', async () => {
    const { store, book } = open();
    await book.refresh();
    store.put([stored('elsewhere')]); // another replica's, which this one has not heard of
    const { diff } = await book.replace((documents) => [...sourcesFromStored(documents), source('b')], rest);
    expect(diff).toMatchObject({ added: [{ name: 'b' }], removed: [], changed: [] });
    expect(book.current().documents.map(({ name }) => name)).toEqual(['elsewhere', 'b']);
  });

  it('is stored whole and in force at once', async () => {
    const { store, book, audiences } = open();
    const { revision, diff, snapshot } = await book.replace([source('a')], { ...rest, reason: 'start' });
    expect(revision).toBe(1);
    expect(diff).toEqual({ added: [{ kind: 'Resource', name: 'a' }], removed: [], changed: [] });
    expect(audiences()).toEqual(['https://a.example']);
    expect(book.current()).toBe(snapshot);
    expect(book.current().revision).toBe(1);
    expect(store.changes).toEqual([
      {
        baseRevision: 0,
        documents: [stored('a')],
        author: 'ann',
        reason: 'start',
        at,
        event: event({ revision: 1, diff }),
      },
    ]);
  });

  it('replaces everything that is not managed by file', async () => {
    const { store, book } = open();
    store.put([stored('kept', 'file'), stored('gone'), stored('changed')]);
    const { diff } = await book.replace([source('changed', ['a', 'b']), source('new')], rest);
    expect(diff).toEqual({
      added: [{ kind: 'Resource', name: 'new' }],
      removed: [{ kind: 'Resource', name: 'gone' }],
      changed: [
        {
          kind: 'Resource',
          name: 'changed',
          fields: [{ field: 'spec.scopes', before: ['a'], after: ['a', 'b'] }],
        },
      ],
    });
    expect(store.changes[0]?.documents.map(({ name, managedBy }) => [name, managedBy])).toEqual([
      ['kept', 'file'],
      ['changed', 'rest'],
      ['new', 'rest'],
    ]);
  });

  it('over REST is refused on a document that is managed by file', async () => {
    const { store, book } = open();
    store.put([stored('kept', 'file')]);
    const refused = book.replace([source('kept'), source('b')], rest);
    await expect(refused).rejects.toThrow(ManagedByFile);
    await expect(refused).rejects.toMatchObject({
      documents: ['Resource/kept'],
      message: "managed by the operator's policy file, so change it there: Resource/kept",
    });
    expect(store.changes).toEqual([]);
  });

  it('by file replaces the file’s documents alone, and takes over a name', async () => {
    const { store, book } = open();
    store.put([stored('old', 'file'), stored('mine'), stored('taken')]);
    const { diff } = await book.replace([source('taken')], {
      author: 'file',
      managedBy: 'file',
      permit,
      event,
    });
    expect(diff).toEqual({
      added: [],
      removed: [{ kind: 'Resource', name: 'old' }],
      changed: [
        { kind: 'Resource', name: 'taken', fields: [{ field: 'managedBy', before: 'rest', after: 'file' }] },
      ],
    });
    expect((await store.load()).documents).toEqual([stored('mine'), stored('taken', 'file')]);
  });

  it('that does not compile changes nothing', async () => {
    const { store, book, audiences } = open();
    await book.replace([source('a')], rest);
    await expect(book.replace([source('b'), wrong], rest)).rejects.toThrow(PolicyRefused);
    expect(store.changes).toHaveLength(1);
    expect(audiences()).toEqual(['https://a.example']);
    await book.replace([source('b')], rest); // the book still works
    expect(audiences()).toEqual(['https://b.example']);
  });

  it('is checked together with the documents of the other side', async () => {
    const { store, book } = open();
    store.put([stored('a', 'file')]);
    const twin = { ...body('b'), spec: { audience: 'https://a.example' } };
    const refused = book.replace([{ value: twin, managedBy: 'rest', locate: () => ({}) }], rest);
    await expect(refused).rejects.toThrow('Resource/b spec.audience: is the audience of Resource/a already');
  });

  it('made on an older revision is refused', async () => {
    const { book } = open();
    await book.replace([source('a')], { ...rest, ifRevision: 0 });
    await expect(book.replace([source('b')], { ...rest, ifRevision: 0 })).rejects.toThrow(RevisionConflict);
    await expect(book.plan([source('b')], { managedBy: 'rest', ifRevision: 0 })).rejects.toThrow(
      RevisionConflict,
    );
    expect((await book.replace([source('b')], { ...rest, ifRevision: 1 })).revision).toBe(2);
  });

  it('passes on a conflict with another replica, and retries nothing', async () => {
    const { store, book } = open();
    const replace = store.replace;
    store.replace = async (change) => {
      store.put([stored('theirs')]);
      return replace(change);
    };
    await expect(book.replace([source('a')], rest)).rejects.toThrow(RevisionConflict);
    expect((await store.load()).documents).toEqual([stored('theirs')]);
  });

  it('of one document touches no other, and reads nothing anew', async () => {
    const { store, book, audiences } = open();
    await book.replace([source('a'), source('b')], rest);
    const { loads } = store;
    const added = await book.amend({ put: [source('c')], remove: [] }, rest);
    expect(added).toMatchObject({ revision: 2, diff: { added: [{ name: 'c' }], removed: [], changed: [] } });
    const gone = await book.amend({ put: [], remove: [{ kind: 'Resource', name: 'a' }] }, rest);
    expect(gone).toMatchObject({ revision: 3, diff: { removed: [{ name: 'a' }] } });
    expect(audiences()).toEqual(['https://b.example', 'https://c.example']);
    expect((await store.load()).documents).toEqual([stored('b'), stored('c')]);
    expect(store.loads).toBe(loads + 1);
  });

  it('of one document is made on what another replica has just written', async () => {
    const { store, book, audiences } = open();
    await book.replace([source('a')], rest);
    store.put([stored('a'), stored('theirs')]);
    expect(await book.amend({ put: [source('c')], remove: [] }, rest)).toMatchObject({ revision: 3 });
    expect(audiences()).toEqual(['https://a.example', 'https://theirs.example', 'https://c.example']);
  });

  it('of one document is refused where the policy does not hold with it, or moved on, or the file manages it', async () => {
    const { store, book, audiences } = open();
    store.put([stored('a'), stored('managed', 'file')]);
    const amend = (changed: PolicySource, options: object = {}) =>
      book.amend({ put: [changed], remove: [] }, { ...rest, ...options });
    await expect(amend(wrong)).rejects.toThrow(PolicyRefused);
    await expect(amend(source('managed', ['b']))).rejects.toThrow(ManagedByFile);
    await expect(amend(source('b'), { ifRevision: 7 })).rejects.toThrow(RevisionConflict);
    const dry = await amend(source('b'), { dryRun: true });
    expect(dry).toMatchObject({ revision: 1, diff: { added: [{ name: 'b' }] } });
    expect(store.events).toHaveLength(0);
    expect(audiences()).toEqual(['https://a.example', 'https://managed.example']);
    await amend(source('b'), { ifRevision: 1 }); // the control
    expect(audiences()).toContain('https://b.example');
  });

  it('of one document mends a stored policy that does not compile', async () => {
    const { store, book, audiences } = open();
    store.put([stored('a')]);
    await book.refresh();
    store.put([stored('a'), { ...stored('b'), body: { ...body('b'), spec: {} } }]);
    await book.amend({ put: [source('b')], remove: [] }, rest);
    expect(audiences()).toEqual(['https://a.example', 'https://b.example']);
  });

  it('may be planned or run dry, which stores nothing', async () => {
    const { store, book, audiences } = open();
    await book.replace([source('a')], rest);
    const plan = await book.plan([source('b')], { managedBy: 'rest' });
    expect(plan).toMatchObject({ baseRevision: 1, after: [stored('b')] });
    const dry = await book.replace([source('b')], { ...rest, dryRun: true });
    expect(dry.revision).toBe(1);
    expect(store.events).toHaveLength(1);
    expect(dry.diff).toEqual(plan.diff);
    expect(dry.diff.added).toEqual([{ kind: 'Resource', name: 'b' }]);
    expect(store.changes).toHaveLength(1);
    expect(audiences()).toEqual(['https://a.example']);
  });

  it('of nothing keeps the revision', async () => {
    const { store, book } = open();
    await book.replace([source('a'), source('b')], rest);
    const same = await book.replace([source('b'), source('a')], rest);
    expect(same).toMatchObject({ revision: 1, diff: { added: [], removed: [], changed: [] } });
    expect(store.changes).toHaveLength(1);
    expect(store.events.map(({ summary }) => summary)).toEqual([
      '2 added, revision 1',
      '0 added, revision 1',
    ]);
    expect(book.current().revision).toBe(1);
  });
});
