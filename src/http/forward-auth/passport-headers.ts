/** What the guarded service reads of who is calling. Each header is in every answer, empty where there is nothing to say. */
import type { Passport } from '../../core/forward-auth.ts';
import { trustDomainOf } from '../../core/spiffe-id.ts';

const readers: Readonly<Record<string, (passport: Passport) => string>> = {
  'x-spiffe-id': ({ spiffeId }) => spiffeId,
  'x-spiffe-trust-domain': ({ spiffeId }) => trustDomainOf(spiffeId),
  'x-auth-method': ({ method }) => method,
  'x-auth-client-id': ({ clientId }) => clientId,
  'x-auth-audience': ({ audience }) => audience,
  'x-auth-scope': ({ scopes }) => scopes.join(' '),
  'x-auth-expires': ({ expiresAt }) => String(expiresAt),
};
const names = Object.keys(readers);

/** A proxy that copies them to the service thereby overwrites what its client wrote into them, whatever the answer. */
export function passportHeaders(passport: Passport | undefined): Record<string, string> {
  return Object.fromEntries(
    names.map((name) => [name, passport === undefined ? '' : writable(readers[name]?.(passport) ?? '')]),
  );
}

/** Printable ASCII, other characters percent-encoded: an audience may hold any letter, and a header may not. */
function writable(text: string): string {
  return text.toWellFormed().replace(/[^\x20-\x7e]/gu, encodeURIComponent);
}
