/** A signer that counts, and orders of tokens that differ as a test likes. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { expect } from 'vitest';
import type { TokenAlgorithm } from '../../src/core/algorithm.ts';
import { parseSpiffeId } from '../../src/core/spiffe-id.ts';
import type { TokenOrder } from '../../src/core/token.ts';
import { testNowMillis } from './tokens.ts';

const ordersId = parseSpiffeId('spiffe://prod.test/orders') ?? expect.unreachable();

export const exampleOrder: TokenOrder = {
  issuer: 'https://sts.test',
  subject: ordersId,
  audience: 'https://inventory.test',
  extraAudiences: [],
  scopes: ['items:read', 'items:write'],
  lifetimeSeconds: 600,
  addedClaims: { tenant: 'acme', region: { zones: ['a', 'b'] } },
  nowMillis: testNowMillis,
};

/** Signs with a real key, and counts; `before` runs before each signature. */
export function countingSigner(before: () => Promise<void> = async () => {}) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  let count = 0;
  const named = (kid: string, algorithm: TokenAlgorithm = 'ES256') => ({
    kid,
    algorithm,
    sign: async (input: Uint8Array) => {
      count++;
      await before();
      return sign('sha256', input, { key: privateKey, dsaEncoding: 'ieee-p1363' });
    },
  });
  return { ...named('k1'), named, count: () => count };
}
