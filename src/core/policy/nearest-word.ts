/** Finds the known word that a misspelt one was meant to be. */

const maxLength = 64;
const maxListed = 16;

/** `did you mean "x"?` for the nearest known word, else the known words themselves. */
export function suggest(word: string, known: readonly string[]): string {
  const nearest = nearestWord(word, known);
  if (nearest !== undefined) return `did you mean "${nearest}"?`;
  if (known.length === 0) return 'none is known here';
  const listed = [...new Set(known)].sort().slice(0, maxListed).join(', ');
  return `known here: ${listed}${known.length > maxListed ? ', …' : ''}`;
}

/** A word as it can stand in a message: quoted, cut to a bearable length, control characters escaped. */
export function quote(word: string): string {
  return JSON.stringify(word.length > maxLength ? `${word.slice(0, maxLength)}…` : word);
}

function nearestWord(word: string, known: readonly string[]): string | undefined {
  if (word.length > maxLength) return undefined;
  const tolerance = Math.min(3, Math.ceil(word.length / 3));
  const scored = known
    .filter((candidate) => Math.abs(candidate.length - word.length) <= tolerance)
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ distance }) => distance <= tolerance)
    .sort((a, b) => a.distance - b.distance);
  return scored[0]?.candidate;
}

/** Levenshtein's distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
