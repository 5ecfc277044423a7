/** What the demo promises: each promise is checked, and the first that does not hold ends it. */
import { isDeepStrictEqual } from 'node:util';
import type { Terminal } from './terminal.ts';

export class ExpectationFailed extends Error {
  override readonly name = 'ExpectationFailed';
}

/** Prints the sentence where both are equal; throws `ExpectationFailed` with both where they are not. */
export function expectEqual(terminal: Terminal, sentence: string, actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) {
    terminal.held(sentence);
    return;
  }
  terminal.failed(sentence);
  throw new ExpectationFailed(
    `${sentence}: expected ${JSON.stringify(expected)}, actual ${JSON.stringify(actual)}`,
  );
}
