/** One proof at two replicas: whichever sees it second refuses it, over PostgreSQL and over Redis alike. */
import { afterAll, describe, expect, inject, test } from 'vitest';
import { openRedis } from '../../src/adapters/redis/open.ts';
import type { ReplayGuard } from '../../src/core/ports.ts';
import { Secret } from '../../src/core/secret.ts';
import { createVerifyDpop } from '../../src/credentials/dpop.ts';
import { createDpopNonces } from '../../src/credentials/dpop-nonce.ts';
import { makeProof } from '../support/dpop.ts';
import { makeKey } from '../support/tokens.ts';
import { describeSql } from './backends.ts';

const url = 'https://sts.test/oauth/token';

function contract(guards: () => readonly ReplayGuard[], now: () => number): void {
  test('is accepted by one of them, with the nonce of the other', async () => {
    const key = await makeKey('client');
    const nowMillis = now();
    const replicas = guards().map((replayGuard) => {
      const nonces = createDpopNonces(new Secret(new Uint8Array(32).fill(9)));
      return { nonces, verify: createVerifyDpop({ replayGuard, nonces }) };
    });
    const [first, second] = replicas;
    const nonce = first?.nonces.issue(nowMillis);
    const newProof = () => makeProof(key, url, { nonce, iat: nowMillis / 1000 });
    const show = (proof: string, replica = second) =>
      replica?.verify({ proof, method: 'POST', url }, nowMillis);

    const proof = await newProof();
    await expect(show(proof, first)).resolves.toHaveProperty('jkt');
    await expect(show(proof, second)).rejects.toMatchObject({ reason: 'dpop.replayed' });
    await expect(show(await newProof(), second)).resolves.toHaveProperty('jkt');

    const contested = await newProof();
    const attempts = Array.from({ length: 20 }, (_, index) => show(contested, replicas[index % 2]));
    const accepted = (await Promise.allSettled(attempts)).filter(({ status }) => status === 'fulfilled');
    expect(accepted).toHaveLength(1);
  });
}

describeSql('a DPoP proof', (backend) => {
  contract(
    () => [backend.stores.replayGuard, backend.replica().replayGuard],
    () => backend.clock.now(),
  );
});

const redisUrl = inject('redisUrl');
if (redisUrl !== undefined) {
  describe('a DPoP proof on Redis', async () => {
    const open = () => openRedis({ url: redisUrl, clock: { now: () => Date.now() } });
    const replicas = await Promise.all([open(), open()]);
    afterAll(() => Promise.all(replicas.map((replica) => replica.close())));
    contract(
      () => replicas.map(({ replayGuard }) => replayGuard),
      () => Math.floor(Date.now() / 1000) * 1000,
    );
  });
}
