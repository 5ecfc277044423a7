/** The contract of `RevocationStore`: last word on each target, with its event, bounded, heard of elsewhere. */
import { expect, test, vi } from 'vitest';
import { maxTokensOfOwner } from '../../src/adapters/postgres/revocation-store.ts';
import type { Revocation } from '../../src/core/revocation.ts';
import { createRevocationBook } from '../../src/core/revocation-book.ts';
import { factsAt, orderOf, revocationAt } from '../support/revocations.ts';
import { describeSql, select } from './backends.ts';

const orders = 'spiffe://prod.test/orders';

describeSql('RevocationStore', (backend, name) => {
  const store = () => backend.stores.revocations;
  const now = () => backend.clock.now();
  const bookOf = (revocations = store()) =>
    createRevocationBook({ store: revocations, clock: backend.clock, onProblem: () => {} });

  test('keeps all of a revocation, and its event with it', async () => {
    expect(await store().head()).toBe(0);
    const issuer = {
      kind: 'issuer',
      target: 'Issuer/github',
      subjects: 'spiffe://mintmark.test/github/{sub}',
      reason: 'a leak',
    } as const;
    const revocation = revocationAt(now(), issuer, now() + 3_600_000);
    const made = await store().add(orderOf(revocation));
    expect(await store().head()).toBe(made.id);
    expect(await store().load(0, now())).toEqual([{ ...revocation, id: made.id }]);
    expect(await store().load(made.id, now())).toEqual([]);
    const events = await backend.stores.audit.list({ action: 'revoke' }, { limit: 10 });
    expect(events.map(({ summary }) => summary)).toEqual(['issuer Issuer/github']);
  });

  test('makes neither where the event is refused', async () => {
    const order = orderOf(revocationAt(now()));
    const event = order.event({ ...revocationAt(now()), id: 0 });
    await store().add({ ...order, event: () => event });
    const again = {
      ...order,
      ...revocationAt(now(), { target: 'spiffe://prod.test/x' }),
      event: () => event,
    };
    await expect(store().add(again)).rejects.toMatchObject({ reason: 'server.audit_unavailable' });
    expect(await store().load(0, now())).toHaveLength(1);
  });

  test('the last word on a target stands, under a new id', async () => {
    const first = await store().add(orderOf(revocationAt(now(), {}, now() + 86_400_000)));
    const second = await store().add(orderOf(revocationAt(now() + 5_000)));
    expect(second.id).toBeGreaterThan(first.id);
    expect(await store().load(0, now())).toEqual([second]);
  });

  test('forgets what covers no living token', async () => {
    const { expiresAt } = await store().add(orderOf(revocationAt(now())));
    expect(await store().load(0, expiresAt - 1)).toHaveLength(1);
    expect(await store().load(0, expiresAt)).toEqual([]);
    await store().add(orderOf(revocationAt(expiresAt, { target: 'spiffe://prod.test/x' })));
    expect(await select(backend.database, 'select target from revocations')).toEqual([
      { target: 'spiffe://prod.test/x' },
    ]);
  });

  test('lists the latest first, by kind and target, page by page', async () => {
    const made: Revocation[] = [];
    for (const target of ['a', 'b', 'c']) {
      made.push(await store().add(orderOf(revocationAt(now(), { kind: 'token', target }))));
    }
    await store().add(orderOf(revocationAt(now())));
    const targets = (list: readonly Revocation[]) => list.map(({ target }) => target);
    expect(targets(await store().list({ limit: 2 }))).toEqual([orders, 'c']);
    expect(targets(await store().list({ limit: 2, below: made[2]?.id }))).toEqual(['b', 'a']);
    expect(targets(await store().list({ limit: 9, kind: 'identity' }))).toEqual([orders]);
    expect(targets(await store().list({ limit: 9, kind: 'token', target: 'b' }))).toEqual(['b']);
  });

  test('where an owner has too many tokens revoked, all of its tokens are at once', {
    timeout: 60_000,
  }, async () => {
    const token = (target: string, owner = orders) =>
      orderOf(revocationAt(now(), { kind: 'token', target, owner }), revocationAt(now(), { target: owner }));
    await backend.database.transaction(({ script }) =>
      script(`insert into revocations (kind, target, owner, before, at, author, expires_at)
        select 'token', 'token-' || n, '${orders}', '2026-01-01T00:00:01Z', '2026-01-01T00:00:00Z', 'x', '2027-01-01Z'
        from generate_series(1, ${maxTokensOfOwner - 1}) n`),
    );
    expect(await store().add(token('last'))).toMatchObject({ kind: 'token', target: 'last' });
    expect(await store().add(token('b', 'spiffe://prod.test/other'))).toMatchObject({ kind: 'token' });
    expect(await store().add(token('one too many'))).toMatchObject({ kind: 'identity', target: orders });
    const left = await store().load(0, now());
    expect(left.map(({ kind, target }) => [kind, target])).toEqual([
      ['token', 'b'],
      ['identity', orders],
    ]);
  });

  test('refuses more than it may keep, and keeps what there is', { timeout: 60_000 }, async () => {
    await backend.database.transaction(({ script }) =>
      script(`insert into revocations (kind, target, before, at, author, expires_at)
        select 'key', 'key-' || n, '2026-01-01T00:00:01Z', '2026-01-01T00:00:00Z', 'x', '2027-01-01Z'
        from generate_series(1, 1000) n`),
    );
    const key = orderOf(revocationAt(now(), { kind: 'key', target: 'one too many' }));
    await expect(store().add(key)).rejects.toMatchObject({
      reason: 'server.revocations_full',
    });
    expect(await store().add(orderOf(revocationAt(now())))).toMatchObject({ kind: 'identity' });
    expect(await store().load(0, now())).toHaveLength(1001);
  });

  test('a book knows its own at once, and takes over what another replica revoked when told', async () => {
    const [here, there] = [bookOf(), bookOf(backend.replica().revocations)];
    await Promise.all([here.refresh(), there.refresh()]);
    const stop = there.watch({ pollMillis: 60_000 });
    await new Promise((later) => setTimeout(later, 200)); // until it listens
    const token = factsAt(Math.floor(now() / 1000));
    expect(here.covers(token)).toBeUndefined();
    const made = await here.revoke(orderOf(revocationAt(now())));
    expect(here.covers(token)).toBe('identity');
    await vi.waitFor(() => expect(there.covers(token)).toBe('identity'), { timeout: 2_000, interval: 5 });
    expect([here.epoch(), there.epoch()]).toEqual([made.id, made.id]);
    stop();
  });

  test('a book polls for what it did not hear', async () => {
    const book = bookOf();
    await book.refresh();
    await store().add(orderOf(revocationAt(now())));
    await book.refresh();
    expect(book.covers(factsAt(Math.floor(now() / 1000)))).toBe('identity');
  });

  test('a book starts anew where the database is an older copy of itself', async () => {
    const book = bookOf();
    await store().add(orderOf(revocationAt(now())));
    await store().add(orderOf(revocationAt(now(), { target: 'spiffe://prod.test/x' })));
    await book.refresh();
    const epoch = book.epoch();
    await backend.database.transaction(({ script }) =>
      script(`delete from revocations where target <> '${orders}'`),
    );
    await book.refresh();
    expect(book.covers(factsAt(0))).toBe('identity');
    expect(book.covers(factsAt(0, { subject: 'spiffe://prod.test/x', clientId: 'x' }))).toBeUndefined();
    expect(book.epoch()).toBe(epoch);
  });

  test(`a store that does not answer takes nothing that is known away (${name})`, async () => {
    let isAway = false;
    const real = store();
    const head = () => (isAway ? Promise.reject(new Error('away')) : real.head());
    const book = bookOf({ ...real, head });
    await book.revoke(orderOf(revocationAt(now())));
    await book.refresh();
    const readAt = book.readAt();
    isAway = true;
    backend.clock.advance(1_000);
    await expect(book.refresh()).rejects.toThrow('away');
    expect(book.covers(factsAt(0))).toBe('identity');
    expect(book.readAt()).toBe(readAt);
  });

  test(`what a store cannot make durable is not in force (${name})`, async () => {
    const book = bookOf({ ...store(), add: () => Promise.reject(new Error('away')) });
    await expect(book.revoke(orderOf(revocationAt(now())))).rejects.toMatchObject({
      reason: 'server.revocations_unavailable',
    });
    expect(book.covers(factsAt(0))).toBeUndefined();
    await bookOf().revoke(orderOf(revocationAt(now())));
    await book.refresh();
    expect(book.covers(factsAt(0))).toBe('identity');
  });
});
