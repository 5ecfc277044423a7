/** RE2 expressions of policies: matched in linear time, always as a whole, and small enough to be run at every request. */
import { RE2JS, RE2JSException } from 're2js';

export const maxExpressionLength = 256;
const maxProgramSize = 250; // RE2 instructions; the cost of a match is this times the text's length

export interface WholeMatcher {
  /** In RE2 instructions. */
  readonly size: number;
  matches(text: string): boolean;
}

/** The expression, or the sentence that says what is wrong with it. */
export function compileWholeMatch(expression: string): WholeMatcher | string {
  if (expression.length > maxExpressionLength) return `is longer than ${maxExpressionLength} characters`;
  if (hasTopLevelAlternative(expression)) {
    return 'holds "|" outside of parentheses: write (?:a|b)';
  }
  const program = compileRe2(expression);
  if (program === undefined) return 'is not an RE2 expression (without lookaround or backreferences)';
  const size = program.programSize();
  if (size > maxProgramSize) return 'is too large: write smaller repeat counts';
  return { size, matches: (text) => program.testExact(text) };
}

function compileRe2(expression: string): RE2JS | undefined {
  try {
    return RE2JS.compile(expression);
  } catch (error) {
    if (error instanceof RE2JSException) return undefined;
    throw error;
  }
}

/** `^a|b$` reads as `^(a|b)$`, and is not. */
function hasTopLevelAlternative(expression: string): boolean {
  let depth = 0;
  for (const [token] of expression.matchAll(/\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[()|]/g)) {
    if (token === '(') depth += 1;
    else if (token === ')') depth -= 1;
    else if (token === '|' && depth <= 0) return true;
  }
  return false;
}
