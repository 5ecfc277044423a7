/** The proof over the stored audit: every way to tamper with it is found, beside an audit that is whole. */
import { randomBytes, randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { sqlStores } from '../../src/adapters/postgres/open.ts';
import { openSoftwareKeys } from '../../src/adapters/software-keys/open.ts';
import type { AuditEvent } from '../../src/core/audit.ts';
import { createCheckpointer } from '../../src/core/audit-checkpointer.ts';
import type { KeyRing } from '../../src/core/ports.ts';
import { Secret } from '../../src/core/secret.ts';
import { testKeyLife } from '../support/key-life.ts';
import { memoryKeyStore } from '../support/memory-key-store.ts';
import { describeSql, policyEvent, select } from './backends.ts';

const issuer = 'https://mintmark.test';

function openKeys(clock: { now: () => number }): Promise<KeyRing> {
  return openSoftwareKeys({
    keyStore: memoryKeyStore(),
    keyEncryptionKey: new Secret<Uint8Array>(randomBytes(32)),
    clock,
    life: testKeyLife,
    algorithms: () => ['ES256'],
  });
}

const hostile = '\u0000 \ud800 "quoted" \\ {a,b} NULL \u2028 \u{1f511}';

describeSql('audit verify', (backend) => {
  const newEvent = (more: Partial<AuditEvent> = {}): AuditEvent => ({
    requestId: randomUUID(),
    at: backend.clock.now(),
    outcome: 'permitted',
    action: 'token.exchange',
    remoteAddress: '192.0.2.1',
    identity: 'spiffe://prod.test/orders',
    detail: hostile,
    ...more,
  });

  /** With chains of its own, also on PGlite. */
  const replica = () => sqlStores(backend.database, backend.database, backend.clock);

  /** A replica's twelve events, one at a time and so in one chain, with a checkpoint after the tenth. */
  async function writeChain() {
    const { audit } = replica();
    const keyRing = await openKeys(backend.clock);
    const checkpoint = createCheckpointer({
      chains: audit.chains,
      audit,
      keyRing,
      issuer,
      clock: backend.clock,
    });
    for (let index = 0; index < 10; index += 1) {
      backend.clock.advance(1);
      await audit.append(newEvent());
    }
    await checkpoint();
    await audit.append(newEvent());
    const rows = await select<{ writer_id: string; sequence: string | number; request_id: string }>(
      backend.database,
      'select writer_id, sequence, request_id from audit_events order by writer_id, sequence',
    );
    const ids = rows.map((row) => row.request_id);
    return { keyRing, checkpoint, audit, ids };
  }

  const verify = (keyRing: KeyRing, window = {}) => backend.stores.verifyAudit(window, keyRing.publicKeys());

  const tamper = (statement: string) => sql.raw(statement).execute(backend.database.kysely);
  const where = (sequence: number) => `where sequence = ${sequence}`;

  test('an audit that nobody touched is whole', async () => {
    const { keyRing } = await writeChain();
    const verdict = await verify(keyRing);
    expect(verdict).toMatchObject({ events: 12, unchained: 0, checkpoints: 1, findings: [] });
    expect(verdict.uncovered).toBeGreaterThanOrEqual(2);
  });

  test.each([
    ['an event for null', `update audit_events set event = 'null' ${where(3)}`, 'altered', 3],
    [
      'a checkpoint for a number',
      `update audit_events set event = '{"checkpoint":5}' ${where(11)}`,
      'altered',
      11,
    ],
    [
      'a field of the event',
      `update audit_events set event = replace(event::text, 'orders', 'admins')::json ${where(3)}`,
      'altered',
      3,
    ],
    [
      'a column alone',
      `update audit_events set identity = 'spiffe://prod.test/other' ${where(3)}`,
      'altered',
      3,
    ],
    ['its time', `update audit_events set at = at - interval '1 hour' ${where(3)}`, 'altered', 3],
    ['its request id', `update audit_events set request_id = gen_random_uuid() ${where(3)}`, 'altered', 3],
    ['a hash', `update audit_events set hash = 'AAAA' ${where(3)}`, 'altered', 3],
    ['its number', `update audit_events set sequence = 99 ${where(3)}`, 'missing', 3],
    ['the first is deleted', `delete from audit_events ${where(1)}`, 'missing', 1],
    ['one is deleted', `delete from audit_events ${where(4)}`, 'missing', 4],
    [
      'two are swapped',
      `update audit_events set sequence = case sequence when 4 then 5 else 4 end where sequence in (4, 5)`,
      'altered',
      4,
    ],
    [
      'one is forged with a place that is taken',
      `insert into audit_events (request_id, at, outcome, action, event, writer_id, sequence, previous_hash, hash)
       select gen_random_uuid(), at, outcome, action, event, writer_id, sequence, previous_hash, hash
       from audit_events ${where(5)}`,
      'altered',
      5,
    ],
    [
      'all after are numbered anew',
      `delete from audit_events ${where(5)}; update audit_events set sequence = sequence - 1 where sequence > 5`,
      'altered',
      5,
    ],
  ])('finds it when %s', async (_what, statement, problem, sequence) => {
    const { keyRing } = await writeChain();
    expect((await verify(keyRing)).findings).toEqual([]);
    await backend.database.transaction(({ script }) => script(statement));
    const { findings } = await verify(keyRing);
    expect(findings[0]).toMatchObject({ problem, sequence });
  });

  test('a removed tail shows by a checkpoint of it, and by nothing else', async () => {
    const { audit, keyRing } = await writeChain();
    // A checkpoint over all twelve, in the chain of another replica.
    const other = replica().audit;
    const { chains } = audit;
    await createCheckpointer({ chains, audit: other, keyRing, issuer, clock: backend.clock })();
    expect(await verify(keyRing)).toMatchObject({ events: 13, checkpoints: 2, uncovered: 1, findings: [] });
    await tamper(`delete from audit_events ${where(12)}`);
    const [tail] = (await verify(keyRing)).findings;
    expect(tail).toMatchObject({ problem: 'tail_removed', sequence: 12 });
    await tamper(`delete from audit_events where sequence > 9 or writer_id <> '${tail?.writerId}'`);
    expect(await verify(keyRing)).toMatchObject({ events: 9, checkpoints: 0, uncovered: 9, findings: [] });
  });

  test('a chain that was made anew, hashes and all, shows by its checkpoint', async () => {
    const { keyRing } = await writeChain();
    const forged = replica().audit;
    const places = await select<{ writer_id: string }>(
      backend.database,
      `select writer_id from audit_events ${where(1)}`,
    );
    await tamper(`delete from audit_events where sequence <> 11`);
    for (let index = 0; index < 10; index += 1) await forged.append(newEvent());
    expect((await verify(keyRing)).findings).toMatchObject([{ writerId: places[0]?.writer_id, sequence: 1 }]);
  });

  test('an event of no chain is counted, and refused once chains had begun', async () => {
    const { keyRing } = await writeChain();
    await tamper(
      `insert into audit_events (request_id, at, outcome, action, event)
       select gen_random_uuid(), at - interval '1 day', outcome, action, event from audit_events ${where(1)}`,
    );
    expect(await verify(keyRing)).toMatchObject({ unchained: 1, findings: [] });
    await tamper(
      `insert into audit_events (request_id, at, outcome, action, event)
       select gen_random_uuid(), at, outcome, action, event from audit_events where sequence = 9`,
    );
    const verdict = await verify(keyRing);
    expect(verdict).toMatchObject({ unchained: 2, findings: [{ problem: 'unchained' }] });
  });

  test('checkpoints by keys that nobody vouches for prove nothing', async () => {
    await writeChain();
    const { findings } = await verify(await openKeys(backend.clock));
    expect(findings).toMatchObject([{ problem: 'checkpoint_unknown_key', sequence: 11 }]);
  });

  test('a change of policy and its rollback leave the chains whole', async () => {
    const { keyRing } = await writeChain();
    const { policy } = replica();
    const change = { documents: [], author: 'test', at: backend.clock.now() };
    await policy.replace({ ...change, baseRevision: 0, event: policyEvent(backend.clock.now()) });
    const stale = policy.replace({ ...change, baseRevision: 7, event: policyEvent(backend.clock.now()) });
    await expect(stale).rejects.toThrow('revision');
    await policy.replace({ ...change, baseRevision: 0, event: policyEvent(backend.clock.now()) });
    expect(await verify(keyRing)).toMatchObject({ events: 14, findings: [] });
  });

  test('what is restored twice is stored once, and the chains are whole', async () => {
    const { audit, keyRing } = await writeChain();
    const events = Array.from({ length: 40 }, () => newEvent());
    await audit.restore(events.slice(0, 25));
    await audit.restore(events);
    await expect(audit.append(newEvent({ requestId: 'no-uuid' }))).rejects.toThrow();
    expect(await verify(keyRing)).toMatchObject({ events: 52, findings: [] });
  });

  test('replicas under load write chains that are whole', async () => {
    const { keyRing } = await writeChain();
    const replicas = [replica().audit, replica().audit];
    await Promise.all(Array.from({ length: 2_000 }, (_, index) => replicas[index % 2]?.append(newEvent())));
    expect(await verify(keyRing)).toMatchObject({ events: 2_012, findings: [] });
  });

  test('of a window, the chains that have an event in it are read whole', async () => {
    const { keyRing } = await writeChain();
    const since = backend.clock.now();
    expect(await verify(keyRing, { since })).toMatchObject({ events: 12, findings: [] });
    expect(await verify(keyRing, { since: since + 60_000 })).toMatchObject({ events: 0, findings: [] });
    await tamper(`delete from audit_events ${where(2)}`);
    expect((await verify(keyRing, { since })).findings).toMatchObject([{ problem: 'missing', sequence: 2 }]);
  });
});
