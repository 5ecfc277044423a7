/** How values from a credential may stand in the detail of a refusal: short, on one line, never a token or a key. */

const maxEchoedCharacters = 64;

/** The value in double quotes, its control and invisible characters removed, cut to 64 characters. */
export function echo(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return `"${cut(value)}"`;
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return cut(String(value));
  return Array.isArray(value) ? `a list of ${value.length}` : 'an object';
}

/** The first few values, each echoed. */
export function echoAll(values: readonly unknown[]): string {
  const shown = values.slice(0, 4).map(echo).join(', ');
  return values.length > 4 ? `${shown} and ${values.length - 4} more` : shown;
}

function cut(text: string): string {
  // What is far too long is cut before it is cleaned, so that cost does not grow with the token.
  const clean = text.slice(0, maxEchoedCharacters * 4).replace(/[\p{C}\p{Zl}\p{Zp}"]/gu, '');
  return clean.length <= maxEchoedCharacters ? clean : `${clean.slice(0, maxEchoedCharacters - 1)}…`;
}
