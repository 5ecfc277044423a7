/** Runs a table of wrong documents: each is the example with one thing wrong, and gives exactly one problem. */
import { expect, it } from 'vitest';
import { compileText, exampleText, exampleWith, lineHolding, problemsOf } from './example-policy.ts';

export interface Refusal {
  readonly title: string;
  /** What of the example is replaced, by what. */
  readonly part: string;
  readonly by: string;
  readonly document: string;
  readonly field: string;
  readonly message: string;
  /** Text on the line that is to blame; `by` where absent. */
  readonly at?: string;
}

export function testRefusals(refusals: readonly Refusal[]): void {
  it('accepts the example that each case below changes', () => {
    expect(compileText(exampleText).documents).toHaveLength(7);
  });

  it.each(refusals)('refuses $title', ({ part, by, document, field, message, at }) => {
    const text = exampleWith(part, by);
    const line = lineHolding(text, at ?? by);
    expect(problemsOf(text)).toEqual([{ document, field, file: 'policy.yaml', line, message }]);
  });
}
