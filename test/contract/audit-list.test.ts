/** The contract of `AuditLog.list`: what is found, in which order, page by page, and that indexes find it. */
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { eventsQuery } from '../../src/adapters/postgres/audit-store.ts';
import type { AuditEvent } from '../../src/core/audit.ts';
import type { AuditFilter, AuditPosition } from '../../src/core/ports.ts';
import { firstAtMillis, insertManyEvents, rareIdentity } from '../support/audit-rows.ts';
import { describeSql } from './backends.ts';

const at = Date.UTC(2026, 2, 4, 5, 6, 7, 89);
const event = (overrides: Partial<AuditEvent>): AuditEvent => ({
  requestId: randomUUID(),
  at,
  outcome: 'permitted',
  action: 'token.exchange',
  remoteAddress: '192.0.2.1',
  ...overrides,
});

describeSql('the list of the audit', (backend) => {
  const list = (filter: AuditFilter, limit = 100, after?: AuditPosition) =>
    backend.stores.audit.list(filter, { limit, after });

  test('gives whole events, the newest first, events of one moment in one order', async () => {
    const events = [0, 1, 1, 1, 2].map((later) => event({ at: at + later, claims: { 'a\u0000b': ['é'] } }));
    await Promise.all(events.map((each) => backend.stores.audit.append(each)));
    const listed = await list({});
    expect(listed.map((each) => each.at - at)).toEqual([2, 1, 1, 1, 0]);
    expect(new Set(listed)).toEqual(new Set(events));
    const pages: AuditEvent[] = [];
    for (let after: AuditPosition | undefined; pages.length < 5; after = pages.at(-1)) {
      const [next] = await list({}, 1, after);
      if (next) pages.push(next);
    }
    expect(pages).toEqual(listed);
    expect(await list({}, 1, pages.at(-1))).toEqual([]);
  });

  test.each([
    ['identity', { identity: rareIdentity }],
    ['resource', { resource: 'other' }],
    ['outcome', { outcome: 'refused' }],
    ['reason', { reason: 'policy.no_grant' }],
    ['action', { action: 'admin.policy.replace' }],
  ] as const)('is filtered by %s, and by nothing that looks like it', async (_field, wanted) => {
    const [other, match] = [event({ identity: 'spiffe://prod.test/other', resource: 'a' }), event(wanted)];
    await Promise.all([other, match].map((each) => backend.stores.audit.append(each)));
    expect(await list(wanted)).toEqual([match]);
    const [[field, value] = []] = Object.entries(wanted);
    for (const near of [`${value}%`, `${value}' or true --`, String(value).toUpperCase(), '']) {
      expect(await list({ [String(field)]: near })).toEqual([]);
    }
  });

  test('is filtered by time: since takes its moment in, until leaves it out; all filters hold together', async () => {
    const events = [0, 1, 2].map((later) => event({ at: at + later, resource: `r${later % 2}` }));
    await Promise.all(events.map((each) => backend.stores.audit.append(each)));
    expect(await list({ since: at + 1 })).toEqual([events[2], events[1]]);
    expect(await list({ until: at + 1 })).toEqual([events[0]]);
    expect(await list({ since: at + 1, until: at + 2 })).toEqual([events[1]]);
    expect(await list({ since: at, until: at + 2, resource: 'r0' })).toEqual([events[0]]);
    expect(await list({ since: at + 1, until: at + 1 })).toEqual([]);
  });

  test('uses an index for each lookup among 20,000 events, also on a later page', async () => {
    await insertManyEvents(backend.database, 20_000);
    const since = firstAtMillis;
    const until = firstAtMillis + 5_000_000;
    const after = { at: firstAtMillis + 4_000_000, requestId: randomUUID() };
    const lookups = [
      [{}, 'audit_events_by_time'],
      [{ since, until }, 'audit_events_by_time'],
      [{ identity: rareIdentity, since, until }, 'audit_events_by_identity'],
      [{ outcome: 'refused', since, until }, 'audit_events_by_outcome'],
      [{ outcome: 'failed', since, until }, 'audit_events_by_outcome'],
      [{ reason: 'server.unexpected', since, until }, 'audit_events_by_reason'],
      [{ action: 'admin.policy.replace', since, until }, 'audit_events_by_action'],
    ] as const;
    for (const [filter, index] of lookups) {
      for (const page of [{ limit: 50 }, { limit: 50, after }]) {
        const plan = JSON.stringify(await eventsQuery(backend.database.kysely, filter, page).explain('json'));
        expect(plan, JSON.stringify([filter, page])).toContain(`"Index Name":"${index}"`);
        expect(plan, JSON.stringify([filter, page])).not.toContain('Seq Scan');
      }
    }
    expect(await list({ identity: rareIdentity })).toHaveLength(100);
  });
});
