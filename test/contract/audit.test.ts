/** The contract of AuditSink and AuditLog. */
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { sqlStores } from '../../src/adapters/postgres/open.ts';
import type { AuditEvent } from '../../src/core/audit.ts';
import { describeSql, select } from './backends.ts';

function event(overrides: Partial<AuditEvent> = {}): AuditEvent {
  return {
    requestId: randomUUID(),
    at: Date.UTC(2026, 2, 4, 5, 6, 7, 89),
    outcome: 'permitted',
    action: 'token',
    remoteAddress: '192.0.2.1',
    identity: 'spiffe://prod.example/orders',
    resource: 'inventory',
    ...overrides,
  };
}

describeSql('audit', (backend, name) => {
  test('finds a whole event again', async () => {
    const { audit } = backend.stores;
    const whole = event({
      outcome: 'refused',
      lane: 'client_assertion',
      credentialKind: 'jwt-svid',
      credentialHash: 'hash',
      issuer: 'prod-cluster',
      trustDomain: 'prod.example',
      claims: { 'kubernetes.io': { namespace: 'payments' }, list: [1, null, 'x'] },
      audience: 'https://inventory.internal.example',
      requestedScopes: ['items:read'],
      scopes: [],
      grants: ['orders-reads-inventory'],
      reason: 'policy.scope_not_permitted',
      detail: 'items:write',
      errorCode: 'invalid_scope',
      checks: [{ check: 'scope', grant: 'orders', ok: false, expected: 'items:read', actual: 'items:write' }],
      policyRevision: 7,
      jti: 'jti',
      tokenHash: 'hash',
      tokenExpiresAt: 1_800_000_000,
      kid: 'kid',
      actor: 'spiffe://mintmark.example/admin',
      summary: 'nothing',
    });
    await audit.append(whole);
    expect(await audit.find(whole.requestId)).toEqual(whole);
    expect(
      await select(
        backend.database,
        'select at, outcome, action, identity, resource, reason from audit_events',
      ),
    ).toEqual([
      {
        at: new Date(whole.at),
        outcome: 'refused',
        action: 'token',
        identity: 'spiffe://prod.example/orders',
        resource: 'inventory',
        reason: 'policy.scope_not_permitted',
      },
    ]);
  });

  test('finds nothing under an unknown id, or under what is no id', async () => {
    expect(await backend.stores.audit.find(randomUUID())).toBeUndefined();
    expect(await backend.stores.audit.find("x' or true --")).toBeUndefined();
  });

  test('keeps whatever a caller sends: U+0000, lone surrogates, quotes, braces', async () => {
    const { audit } = backend.stores;
    const hostile = '\u0000 \ud800 "quoted" \\ {a,b} NULL \u2028 \u{1f511}';
    const events = ['NULL', '', hostile].map((text) =>
      event({ audience: text, resource: text, detail: text, claims: { [text]: text } }),
    );
    await Promise.all(events.map((each) => audit.append(each)));
    for (const each of events) expect(await audit.find(each.requestId)).toEqual(each);
  });

  test('an event that cannot be stored is refused alone', async () => {
    const { audit } = backend.stores;
    const taken = event();
    await audit.append(taken);
    const good = Array.from({ length: 20 }, () => event());
    const bad = [event({ requestId: 'no-uuid' }), event({ requestId: taken.requestId })];
    const events = [...good.slice(0, 7), ...bad, ...good.slice(7)];
    const results = await Promise.allSettled(events.map((each) => audit.append(each)));
    const refused = results.flatMap((result, index) =>
      result.status === 'rejected' ? [[events[index]?.requestId, result.reason.reason]] : [],
    );
    expect(refused).toEqual(bad.map(({ requestId }) => [requestId, 'server.audit_unavailable']));
    for (const each of good) expect(await audit.find(each.requestId)).toEqual(each);
  });

  test('1,000 appends at once: all found, in a few inserts', async () => {
    const { audit } = backend.stores;
    const events = Array.from({ length: 1_000 }, (_, index) => event({ detail: `event ${index}` }));
    const started = performance.now();
    await Promise.all(events.map((each) => audit.append(each)));
    console.log(`${name}: 1,000 appends at once took ${Math.round(performance.now() - started)} ms`);
    const rows = await select<{ rows: string | number; inserts: string | number }>(
      backend.database,
      'select count(*) as rows, count(distinct xmin::text) as inserts from audit_events',
    );
    expect(Number(rows[0]?.rows)).toBe(1_000);
    expect(Number(rows[0]?.inserts)).toBeLessThanOrEqual(4);
    const ids = await select<{ request_id: string }>(backend.database, 'select request_id from audit_events');
    expect(new Set(ids.map((row) => row.request_id))).toEqual(new Set(events.map((each) => each.requestId)));
  });

  test('an append beside a policy change that fails stays', async () => {
    const { audit } = backend.stores;
    const [before, beside] = [event(), event()];
    const failing = backend.database.transaction(async ({ kysely }) => {
      await kysely.deleteFrom('replay_claims').execute();
      const append = audit.append(beside);
      // Long enough for the append to join the transaction, were it to run on the same connection.
      await new Promise((resolve) => setTimeout(resolve, 50));
      void append.catch(() => {});
      throw new Error('rolled back');
    });
    await audit.append(before);
    await expect(failing).rejects.toThrow('rolled back');
    await expect.poll(() => audit.find(beside.requestId)).toEqual(beside);
  });

  test('sheds load past its bound, and works on', async () => {
    const { audit } = backend.stores;
    const results = await Promise.allSettled(Array.from({ length: 12_000 }, () => audit.append(event())));
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.reason] : []));
    expect(refused).toHaveLength(2_000);
    expect(new Set(refused)).toEqual(new Set(['server.overloaded']));
    await audit.append(event());
  });

  test('close writes what was taken, and takes no more', async () => {
    const another = sqlStores(backend.database, backend.database, backend.clock);
    const events = Array.from({ length: 700 }, () => event());
    const appends = events.map((each) => another.audit.append(each));
    await another.audit.close();
    await Promise.all(appends);
    for (const each of [events[0], events[699]]) {
      expect(await backend.stores.audit.find(each?.requestId ?? '')).toEqual(each);
    }
    await expect(another.audit.append(event())).rejects.toMatchObject({ reason: 'server.draining' });
  });
});
