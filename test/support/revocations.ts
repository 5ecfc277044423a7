/** Revocations for tests: whole records with defaults. */
import { randomUUID } from 'node:crypto';
import type { AuditEvent } from '../../src/core/audit.ts';
import type { RevocationOrder } from '../../src/core/ports.ts';
import type { Revocation, TokenFacts } from '../../src/core/revocation.ts';
import { lastsUntil, momentAfter } from '../../src/core/revocation-life.ts';

type Made = Omit<Revocation, 'id'>;

/** A revocation made at this time, in milliseconds since the epoch. */
export function revocationAt(at: number, changed: Partial<Made> = {}, notUntil?: number): Made {
  const before = momentAfter(at, notUntil);
  return {
    kind: 'identity',
    target: 'spiffe://prod.test/orders',
    subjects: '',
    owner: undefined,
    before,
    at,
    author: 'spiffe://prod.test/ann',
    reason: undefined,
    expiresAt: lastsUntil(before),
    ...changed,
  };
}

export function orderOf(revocation: Made, instead?: Made): RevocationOrder {
  const event = (made: Revocation): AuditEvent => ({
    requestId: randomUUID(),
    at: made.at,
    outcome: 'permitted',
    action: 'revoke',
    remoteAddress: '192.0.2.1',
    summary: `${made.kind} ${made.target}`,
  });
  return { ...revocation, ...(instead === undefined ? {} : { instead }), event };
}

/** A token of the orders workload that was issued at this second. */
export function factsAt(issuedAt: number, changed: Partial<TokenFacts> = {}): TokenFacts {
  const subject = 'spiffe://prod.test/orders';
  return { jti: 'a-token', kid: 'k1', subject, clientId: subject, issuedAt, claims: {}, ...changed };
}
