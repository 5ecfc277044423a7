/** What a replica starts from while its database is away: the policy as it was last, however it came to be. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openLastKnown } from '../../src/adapters/data-dir/last-known.ts';
import type { AuditEvent } from '../../src/core/audit.ts';
import type { StoredDocument } from '../../src/core/policy/document.ts';
import type { KeyStore, RevocationStore } from '../../src/core/ports.ts';
import { Secret } from '../../src/core/secret.ts';
import { memoryPolicyStore } from './policy/memory-policy-store.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mintmark-last-known-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const at = Date.UTC(2026, 5, 1);
const grant = (name: string, resource = 'one'): StoredDocument => ({
  kind: 'Grant',
  name,
  managedBy: 'rest',
  body: { spec: { resource } },
});
const event: AuditEvent = { requestId: 'r', at, outcome: 'permitted', action: 'x', remoteAddress: 'local' };
const record = (baseRevision: number) => ({ baseRevision, author: 'ann', at, event });

const keys: KeyStore = { list: async () => [], change: async (plan) => plan([]) };
const revocations: RevocationStore = {
  head: async () => 0,
  load: async () => [],
  list: async () => [],
  add: async () => Promise.reject(new Error('not asked for here')),
  onChange: () => () => {},
};
const away: KeyStore = {
  list: async () => Promise.reject(new Error('away')),
  change: async () => Promise.reject(new Error('away')),
};

async function open(policy = memoryPolicyStore(), keyStore = keys) {
  const lastKnown = await openLastKnown({
    folder,
    keyEncryptionKey: new Secret(new Uint8Array(32).fill(7)),
    stores: { policy, keys: keyStore, svidKeys: keyStore, revocations },
    clock: { now: () => at },
    log: () => {},
  });
  return { policy, lastKnown };
}

/** What another process reads from the disk, once everything was written. */
async function readFromDisk() {
  const { policy, lastKnown } = await open(memoryPolicyStore(), away);
  policy.failure = new Error('away');
  return lastKnown.policy.load();
}

it('is the policy with each change that this replica made', async () => {
  const { lastKnown } = await open();
  await lastKnown.policy.replace({ ...record(0), documents: [grant('a'), grant('b')] });
  const removed = [{ kind: 'Grant' as const, name: 'a' }];
  await lastKnown.policy.amend({ ...record(1), put: [grant('b', 'two'), grant('c')], removed });
  await lastKnown.keys.list();
  const expected = { revision: 2, documents: [grant('b', 'two'), grant('c')] };
  await expect.poll(readFromDisk).toEqual(expected);
});

it('is the policy with what another replica changed, read a revision at a time', async () => {
  const { policy, lastKnown } = await open();
  policy.put([grant('a'), grant('b')]);
  await lastKnown.policy.load();
  await lastKnown.keys.list();
  policy.put([grant('b', 'two'), grant('c')]);
  expect(await lastKnown.policy.loadSince(1)).toMatchObject({ revision: 2 });
  await expect.poll(readFromDisk).toEqual({ revision: 2, documents: [grant('b', 'two'), grant('c')] });
});

it('is read whole where the changes do not follow on what was read', async () => {
  const { policy, lastKnown } = await open();
  policy.put([grant('a')]);
  policy.put([grant('a'), grant('b')]);
  expect(await lastKnown.policy.loadSince(1)).toBeUndefined();
  await lastKnown.policy.load();
  await lastKnown.keys.list();
  await expect.poll(readFromDisk).toEqual({ revision: 2, documents: [grant('a'), grant('b')] });
});

it('is the last of many changes that came faster than the disk', async () => {
  const { lastKnown } = await open();
  await lastKnown.policy.load();
  for (let revision = 0; revision < 50; revision += 1) {
    await lastKnown.policy.amend({ ...record(revision), put: [grant(`g${revision}`)], removed: [] });
  }
  await lastKnown.keys.list();
  await expect.poll(async () => (await readFromDisk()).revision).toBe(50);
  expect((await readFromDisk()).documents).toHaveLength(50);
});
