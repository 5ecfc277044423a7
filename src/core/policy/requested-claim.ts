/** Schemas of `claims.allowRequested`, compiled: the same text once, however many grants and revisions hold it. */
import { Ajv } from 'ajv';
import { compileWholeMatch } from './re2.ts';
import type { RequestedClaim } from './snapshot.ts';

/** Compiling one costs about a millisecond, and every change compiles the whole policy. */
export const maxSchemasPerPolicy = 256;

/** Beyond one policy's, so that its next revision finds what this one compiled. */
const maxKept = 4 * maxSchemasPerPolicy;
const keptByText = new Map<string, RequestedClaim>();

/** Compiles a schema without problems, whose JSON is `text`. */
export function compileRequestedClaim(schema: object, text: string): RequestedClaim {
  const kept = keptByText.get(text);
  if (kept !== undefined) return kept;
  const [oldest] = keptByText.keys();
  if (keptByText.size >= maxKept && oldest !== undefined) keptByText.delete(oldest);
  // An instance for each, since one keeps all that it ever compiled.
  const ajv = new Ajv({
    strict: true,
    ownProperties: true,
    meta: false,
    validateSchema: false, // `problemsOfClaimSchema` allows less than the meta-schema does
    validateFormats: false,
    addUsedSchema: false,
    logger: false,
    code: { regExp: wholePattern },
  });
  const validate = ajv.compile(schema);
  const claim: RequestedClaim = { accepts: (value) => validate(value) === true };
  keptByText.set(text, claim);
  return claim;
}

/** What ajv matches patterns with, in the place of JavaScript's own engine, which backtracks. */
const wholePattern = Object.assign(
  (pattern: string) => {
    const compiled = compileWholeMatch(pattern.slice(1, -1)); // without its ^ and $
    if (typeof compiled === 'string') throw new TypeError('a pattern that was not checked');
    return { test: compiled.matches, toString: () => pattern };
  },
  { code: 'wholePattern' }, // stands only in code that is generated for another process
);
