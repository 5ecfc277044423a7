/** What `apply` makes of the whole policy. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergePolicy, setLabel } from '../../../src/cli/merge-policy.ts';
import type { PolicySource } from '../../../src/core/policy/source.ts';

const grant = (name: string, set?: string, marker = 0) => ({
  apiVersion: 'mintmark/v1',
  kind: 'Grant',
  metadata: { name, ...(set === undefined ? {} : { labels: { [setLabel]: set } }) },
  spec: { marker },
});
const source = (value: unknown): PolicySource => ({
  value,
  managedBy: 'rest',
  locate: () => ({ file: 'a.yaml', line: 3 }),
});
const policy = (documents: ReturnType<typeof grant>[], managedByFile: string[] = []) => ({
  documents,
  managedByFile: managedByFile.map((name) => ({ kind: 'Grant', name })),
});

describe('mergePolicy', () => {
  it('replaces whole, keeps the others, and leaves out what only the file may change', () => {
    const current = policy([grant('a', 'old', 1), grant('b'), grant('of-file')], ['of-file']);
    expect(mergePolicy(current, [source(grant('a', undefined, 2))], { prune: false })).toEqual([
      grant('b'),
      grant('a', undefined, 2),
    ]);
  });

  it('labels what a set writes and keeps its other labels', () => {
    const labelled = { ...grant('a'), metadata: { name: 'a', labels: { team: 'x' } } };
    expect(mergePolicy(policy([]), [source(labelled)], { set: 's', prune: false })).toEqual([
      { ...labelled, metadata: { name: 'a', labels: { team: 'x', [setLabel]: 's' } } },
    ]);
  });

  it('prunes exactly what carries the label of the set and is not written again', () => {
    const names = fc.uniqueArray(fc.constantFrom<string[]>('a', 'b', 'c', 'd', 'e'));
    const sets = fc.constantFrom('s', 't', undefined);
    fc.assert(
      fc.property(
        names,
        fc.array(sets, { minLength: 5, maxLength: 5 }),
        names,
        fc.boolean(),
        (was, of, is, prune) => {
          const before = was.map((name, index) => grant(name, of[index]));
          const merged = mergePolicy(
            policy(before),
            is.map((name) => source(grant(name))),
            { set: 's', prune },
          );
          const kept = before.filter(
            ({ metadata: { name, labels } }) => !is.includes(name) && !(prune && labels?.[setLabel] === 's'),
          );
          expect(merged).toEqual([...kept, ...is.map((name) => grant(name, 's'))]);
        },
      ),
    );
  });

  it('never takes the same document twice, nor one without a name, and says where they stand', () => {
    const merge =
      (...values: unknown[]) =>
      () =>
        mergePolicy(policy([]), values.map(source), { prune: false });
    expect(merge(grant('a'), grant('b'))).not.toThrow();
    expect(merge(grant('a'), grant('a'))).toThrow('a.yaml:3: Grant/a: stands twice in these files: keep one');
    expect(merge({ kind: 'Grant' })).toThrow('a.yaml:3: Grant: needs a known kind and metadata.name');
    expect(merge({ ...grant('a'), kind: 'Gant' })).toThrow('needs a known kind');
  });
});
