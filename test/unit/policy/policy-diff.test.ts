import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json } from '../../../src/core/json.ts';
import { diffPolicies, isEmptyDiff } from '../../../src/core/policy/diff.ts';
import { kinds, type StoredDocument } from '../../../src/core/policy/document.ts';

const document = (name: string, body: Json): StoredDocument => ({
  kind: 'Grant',
  name,
  managedBy: 'rest',
  body,
});

describe('diffPolicies', () => {
  it('names each field that was added, removed or changed', () => {
    const before = document('a', { spec: { scopes: ['r'], require: { 'a.b': 1, c: 2 }, gone: true } });
    const after = document('a', { spec: { require: { c: 2, 'a.b': 2 }, scopes: ['r', 'w'], added: null } });
    expect(diffPolicies([before], [after]).changed).toEqual([
      {
        kind: 'Grant',
        name: 'a',
        fields: [
          { field: 'spec.scopes', before: ['r'], after: ['r', 'w'] },
          { field: 'spec.require["a.b"]', before: 1, after: 2 },
          { field: 'spec.gone', before: true },
          { field: 'spec.added', after: null },
        ],
      },
    ]);
  });

  it('lists documents in order of kind and name', () => {
    const diff = diffPolicies([document('z', 1), document('y', 1)], [document('b', 1), document('a', 1)]);
    expect(diff.added.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(diff.removed.map(({ name }) => name)).toEqual(['y', 'z']);
  });

  it('takes the order of fields and documents for no difference, and 1 and "1" for one', () => {
    const [one, two] = [document('a', { x: 1, y: [{ a: 1, b: 2 }] }), document('b', 1)];
    const reordered = document('a', { y: [{ b: 2, a: 1 }], x: 1 });
    expect(isEmptyDiff(diffPolicies([one, two], [two, reordered]))).toBe(true);
    expect(isEmptyDiff(diffPolicies([two], [document('b', '1')]))).toBe(false);
  });

  it('is empty exactly where nothing differs, and turns around with its arguments', () => {
    const documents = fc.uniqueArray(
      fc.record({
        kind: fc.constantFrom(...kinds),
        name: fc.constantFrom('a', 'b', 'c'),
        managedBy: fc.constantFrom('rest' as const, 'file' as const),
        body: fc.jsonValue({ maxDepth: 2 }).map((value) => value as Json),
      }),
      { selector: ({ kind, name }) => `${kind}/${name}` },
    );
    fc.assert(
      fc.property(documents, documents, (before, after) => {
        expect(isEmptyDiff(diffPolicies(before, before.toReversed()))).toBe(true);
        const [there, back] = [diffPolicies(before, after), diffPolicies(after, before)];
        expect(there.added).toEqual(back.removed);
        expect(there.removed).toEqual(back.added);
        expect(there.changed.map(({ name }) => name)).toEqual(back.changed.map(({ name }) => name));
      }),
    );
  });
});
