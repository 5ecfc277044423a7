/** Checkpoints: who signed them, and that they are good for nothing else. */
import { randomBytes, randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { openSoftwareKeys } from '../../src/adapters/software-keys/open.ts';
import { type TokenAlgorithm, tokenAlgorithms } from '../../src/core/algorithm.ts';
import { hashOfLink, openAuditChains } from '../../src/core/audit-chain.ts';
import { readCheckpoint, signCheckpoint, trustedKeys } from '../../src/core/audit-checkpoint.ts';
import type { KeyRing } from '../../src/core/ports.ts';
import { Secret } from '../../src/core/secret.ts';
import { parseSpiffeId } from '../../src/core/spiffe-id.ts';
import { draftAccessToken, signDraft } from '../../src/core/token.ts';
import { createVerifyOwnToken } from '../../src/credentials/own-token.ts';
import { testKeyLife } from '../support/key-life.ts';
import { memoryKeyStore } from '../support/memory-key-store.ts';

const issuer = 'https://mintmark.test';
const nowMillis = Date.UTC(2026, 0, 1);
const heads = [{ writerId: randomUUID(), sequence: 7, hash: 'hash' }];

function openKeys(algorithms: readonly TokenAlgorithm[] = ['ES256']): Promise<KeyRing> {
  return openSoftwareKeys({
    keyStore: memoryKeyStore(),
    keyEncryptionKey: new Secret<Uint8Array>(randomBytes(32)),
    clock: { now: () => nowMillis },
    life: testKeyLife,
    algorithms: () => algorithms,
  });
}

test.each(tokenAlgorithms)(
  'a checkpoint signed by %s is read back, and an altered one is not signed',
  async (algorithm) => {
    const ring = await openKeys([algorithm]);
    const keyRing = { ...ring, signer: () => ring.signer(algorithm) };
    const jws = await signCheckpoint(keyRing, issuer, heads, nowMillis);
    expect(readCheckpoint(jws)).toMatchObject({ heads, isSigned: true });
    const [header, claims = '', signature] = jws.split('.');
    const altered = Buffer.from(claims, 'base64url').toString().replace('"sequence":7', '"sequence":6');
    const forged = `${header}.${Buffer.from(altered).toString('base64url')}.${signature}`;
    expect(readCheckpoint(forged)).toMatchObject({ heads: [{ sequence: 6 }], isSigned: false });
  },
);

test('a checkpoint is no access token, nor the other way round', async () => {
  const spiffeId = parseSpiffeId('spiffe://prod.test/orders');
  if (spiffeId === undefined) throw new Error('a SPIFFE ID');
  const keyRing = await openKeys();
  const verify = createVerifyOwnToken({ issuer, keyRing, revocations: { covers: () => undefined } });
  const jws = await signCheckpoint(keyRing, issuer, heads, nowMillis);
  // Refused for the key in its header, before its type is asked.
  await expect(verify(jws, nowMillis)).rejects.toMatchObject({ reason: 'token.malformed' });
  const order = {
    issuer,
    subject: spiffeId,
    audience: 'alpha',
    extraAudiences: [],
    scopes: [],
    lifetimeSeconds: 60,
    addedClaims: {},
    nowMillis,
  };
  const signer = keyRing.signer();
  const { accessToken } = await signDraft(signer, draftAccessToken(signer, order));
  await expect(verify(accessToken.reveal(), nowMillis)).resolves.toMatchObject({ subject: spiffeId });
  expect(readCheckpoint(accessToken.reveal())).toBeUndefined();
});

test.each(['', 'a.b.c', 'a.b.c.d', `${Buffer.from('{"typ":"at+jwt"}').toString('base64url')}.e30.`])(
  'what is no checkpoint is read as none: %s',
  (text) => {
    expect(readCheckpoint(text)).toBeUndefined();
  },
);

test('a published key vouches for those beside it, and they for those before; a stranger for nobody', async () => {
  const [old, middle, now, stranger] = await Promise.all([openKeys(), openKeys(), openKeys(), openKeys()]);
  const beside = (signs: KeyRing, ...others: readonly KeyRing[]): KeyRing => ({
    ...signs,
    publicKeys: () => [signs, ...others].flatMap((ring) => ring.publicKeys()),
  });
  const rings = [beside(old), beside(middle, old), beside(now, middle), beside(stranger, now)];
  const read = await Promise.all(
    rings.map(async (ring) => readCheckpoint(await signCheckpoint(ring, issuer, heads, nowMillis))),
  );
  const checkpoints = read.flatMap((checkpoint) => checkpoint ?? []);
  const trusted = trustedKeys(checkpoints, now.publicKeys());
  expect(checkpoints.map(({ key }) => trusted.has(key))).toEqual([true, true, true, false]);
});

test('a write that failed for certain leaves its chain; one that may have happened ends it', async () => {
  const certain = new Error('refused');
  const chains = openAuditChains((error) => error === certain);
  const append = (text: string, failure?: Error) =>
    chains.write(async (seal) => {
      const link = seal(text);
      if (failure) throw failure;
      return link;
    });
  const first = await append('a');
  expect(first).toMatchObject({ sequence: 1, previousHash: '', hash: hashOfLink(first, 'a') });
  await expect(append('b', certain)).rejects.toBe(certain);
  const second = await append('c');
  expect(second).toMatchObject({ writerId: first.writerId, sequence: 2, previousHash: first.hash });
  await expect(append('d', new Error('lost'))).rejects.toThrow('lost');
  const third = await append('e');
  expect(third.sequence).toBe(1);
  expect(third.writerId).not.toBe(first.writerId);
  expect(chains.heads().map(({ sequence }) => sequence)).toEqual([2, 1]);
});
