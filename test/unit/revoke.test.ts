/** What the event of a revocation says where the store fails half way. */
import { expect, it } from 'vitest';
import type { AuditEvent } from '../../src/core/audit.ts';
import { OAuthError } from '../../src/core/error.ts';
import type { OwnToken } from '../../src/core/own-token.ts';
import type { Revocation } from '../../src/core/revocation.ts';
import { createRevoke, type RevokeParts } from '../../src/core/revoke.ts';
import { Secret } from '../../src/core/secret.ts';
import { parseSpiffeId } from '../../src/core/spiffe-id.ts';
import { testNowMillis, testNowSeconds } from '../support/tokens.ts';

const subject = parseSpiffeId('spiffe://prod.test/orders') ?? expect.fail();
const token: OwnToken = {
  subject,
  clientId: subject,
  audiences: ['alpha'],
  scopes: [],
  jti: 'a-token',
  kid: 'one',
  issuedAt: testNowSeconds,
  expiresAt: testNowSeconds + 600,
  confirmation: undefined,
  claims: {},
};

async function revokeWith(store: RevokeParts['revocations']['revoke']) {
  const events: AuditEvent[] = [];
  const unused = () => Promise.reject(new Error('not asked for here'));
  const revoke = createRevoke({
    clock: { now: () => testNowMillis },
    policy: () => expect.fail('no policy is asked'),
    verify: unused,
    verifyOwnToken: async () => token,
    authenticateAdmin: async () => ({ name: 'ann', scopes: new Set(['tokens:revoke']) }),
    replayGuard: { claim: unused },
    revocations: { revoke: store },
    audit: { append: async (event) => void events.push({ ...event }) },
    refusalCap: async () => true,
  });
  const outcome = await revoke({
    requestId: 'r',
    remoteAddress: '192.0.2.1',
    read: () => ({
      caller: { shown: { scheme: 'Bearer', token: 'admin', proof: undefined, certificate: () => undefined } },
      token: new Secret('text'),
    }),
  }).then(
    () => 'revoked',
    (error: OAuthError) => error.reason,
  );
  return { outcome, events };
}

const made = { kind: 'token', target: 'a-token' } as Revocation;

it('is the store’s to keep where the revocation is made', async () => {
  const kept: AuditEvent[] = [];
  const { outcome, events } = await revokeWith(async (order) => {
    kept.push({ ...order.event(made) });
    return made;
  });
  expect({ outcome, events }).toEqual({ outcome: 'revoked', events: [] });
  expect(kept).toMatchObject([{ outcome: 'permitted', summary: 'revoked token a-token', actor: 'ann' }]);
});

it('never says that it was made where it was not', async () => {
  const { outcome, events } = await revokeWith(async (order) => {
    order.event(made); // what would have been kept with it
    throw new OAuthError('server.revocations_unavailable');
  });
  expect(outcome).toBe('server.revocations_unavailable');
  expect(events).toMatchObject([
    { outcome: 'failed', reason: 'server.revocations_unavailable', actor: 'ann' },
  ]);
  expect(events[0]).not.toHaveProperty('summary');
});
