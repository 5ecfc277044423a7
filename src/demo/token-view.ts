/** A JWT as a person reads it: decoded, not verified, one row a claim. */
import { decodeJwt, decodeProtectedHeader } from 'jose';
import type { Row, Terminal } from './terminal.ts';

/** What to say beside a claim, by its path. */
export type ClaimNotes = Readonly<Record<string, string>>;

/** Prints header and claims. Nested claims stand under their path, as a policy document names them. */
export function showToken(terminal: Terminal, token: string, notes: ClaimNotes = {}): void {
  const claims = decodeJwt(token);
  terminal.rows([
    ['header', JSON.stringify(decodeProtectedHeader(token)), notes.header],
    ...flatten(claims).map(([path, value]): Row => [path, describe(path, value, claims.iat), notes[path]]),
  ]);
}

/** The text with the middle of each JWT in it left out: enough to recognise, not enough to use. */
export function shortenTokens(text: string): string {
  return text.replace(/\beyJ[\w-]+\.[\w-]+\.[\w-]+/g, (token) => `${token.slice(0, 12)}…${token.slice(-4)}`);
}

function flatten(claims: object, prefix = ''): [string, unknown][] {
  return Object.entries(claims).flatMap(([name, value]): [string, unknown][] => {
    const path = `${prefix}${name}`;
    const isNested = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isNested ? flatten(value, `${path}.`) : [[path, value]];
  });
}

function describe(path: string, value: unknown, issuedAt: number | undefined): string {
  if (path === 'exp' && typeof value === 'number' && issuedAt !== undefined) {
    return `${value} (${value - issuedAt} s after iat)`;
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}
