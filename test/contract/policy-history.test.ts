/** The contract of PolicyHistory, over the PolicyStore that makes it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Json } from '../../src/core/json.ts';
import type { ManagedBy, StoredDocument } from '../../src/core/policy/document.ts';
import { describeSql, policyEvent } from './backends.ts';

const at = Date.UTC(2026, 5, 1, 12);
const grant = (name: string, spec: Json = {}, managedBy: ManagedBy = 'rest'): StoredDocument => ({
  kind: 'Grant',
  name,
  managedBy,
  body: { apiVersion: 'mintmark/v1', kind: 'Grant', metadata: { name }, spec },
});

describeSql('policy history', (backend) => {
  /** Makes each a revision, a second after the one before. */
  async function write(...policies: readonly (readonly StoredDocument[])[]): Promise<void> {
    for (const [index, documents] of policies.entries()) {
      const made = { author: index % 2 === 0 ? 'ann' : 'bob', at: at + index * 1000 };
      const reason = index === 0 ? {} : { reason: `change ${index + 1}` };
      const change = { baseRevision: index, documents, event: policyEvent(at), ...made, ...reason };
      expect(await backend.stores.policy.replace(change)).toBe(index + 1);
    }
  }
  const history = () => backend.stores.policyHistory;

  test('of a policy that was never changed is empty', async () => {
    expect(await history().list({ limit: 10 })).toEqual([]);
    for (const revision of [0, 1]) {
      expect(await history().find(revision)).toBeUndefined();
      expect(await history().documentsAt(revision)).toBeUndefined();
    }
  });

  test('lists who changed it, when and why, newest first, by author, time and page', async () => {
    await write([grant('a')], [grant('b')], [grant('c')], []);
    const all = await history().list({ limit: 10 });
    expect(all).toEqual([
      { revision: 4, at: at + 3000, author: 'bob', reason: 'change 4' },
      { revision: 3, at: at + 2000, author: 'ann', reason: 'change 3' },
      { revision: 2, at: at + 1000, author: 'bob', reason: 'change 2' },
      { revision: 1, at, author: 'ann', reason: undefined },
    ]);
    const list = async (filter: object) =>
      (await history().list({ limit: 10, ...filter })).map(({ revision }) => revision);
    expect(await list({ author: 'ann' })).toEqual([3, 1]);
    expect(await list({ author: "ann' or true --" })).toEqual([]);
    expect(await list({ since: at + 1000, until: at + 3000 })).toEqual([3, 2]);
    expect(await list({ below: 3 })).toEqual([2, 1]);
    expect(await list({ author: 'bob', below: 4, limit: 1 })).toEqual([2]);
    expect(await list({ since: 0, until: Date.UTC(9999, 11, 31) })).toHaveLength(4);
  });

  test('says what each revision touched, as it was written', async () => {
    const awkward = { zebra: 1, apple: ['a "quoted" \\', 'déjà \u{1f511} \u0000 \ud800'], nothing: null };
    await write(
      [grant('kept'), grant('altered', awkward), grant('dropped')],
      [grant('kept'), grant('altered'), grant('new', {}, 'file')],
    );
    expect(await history().find(2)).toMatchObject({
      revision: 2,
      before: [grant('altered', awkward), grant('dropped')],
      after: [grant('altered'), grant('new', {}, 'file')],
    });
    const first = await history().documentsAt(1);
    expect(first).toEqual([grant('altered', awkward), grant('dropped'), grant('kept')]);
    // The order of keys too, which toEqual does not look at.
    expect(JSON.stringify(first?.[0]?.body)).toBe(JSON.stringify(grant('altered', awkward).body));
    expect(await history().documentsAt(2)).toEqual((await backend.stores.policy.load()).documents);
    expect(await history().documentsAt(3)).toBeUndefined();
  });

  test('gives back every policy that there was, however documents came and went', async () => {
    const policy = fc
      .uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'))
      .chain((names) =>
        fc.tuple(
          ...names.map((name) =>
            fc
              .tuple(fc.integer({ min: 0, max: 2 }), fc.constantFrom<ManagedBy>('rest', 'file'))
              .map(([value, managedBy]) => grant(name, { value }, managedBy)),
          ),
        ),
      );
    const policies = fc.sample(policy, { numRuns: 40, seed: 7 });
    const made: StoredDocument[][] = [];
    for (const documents of policies) {
      const ordered = [...documents].sort((one, other) => (one.name < other.name ? -1 : 1));
      const baseRevision = made.length;
      const change = { baseRevision, documents: ordered, author: 'ann', at, event: policyEvent(at) };
      if ((await backend.stores.policy.replace(change)) > baseRevision) made.push(ordered);
    }
    expect(made.length).toBeGreaterThan(30);
    for (const [index, documents] of made.entries()) {
      expect(await history().documentsAt(index + 1)).toEqual(documents);
    }
  });
});
