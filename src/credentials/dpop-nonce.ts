/** The nonces that DPoP proofs must hold (RFC 9449 §8): kept nowhere, and every replica accepts every other's. */
import { createHmac } from 'node:crypto';
import { deriveKey } from '../core/sealed-token.ts';
import type { Secret } from '../core/secret.ts';

export interface DpopNonces {
  /** The nonce of this time: the same for everyone, since it proves when a proof was made, not by whom. */
  issue(nowMillis: number): string;
  /** Whether it is this slot's or the one before's. */
  accepts(nonce: string, nowMillis: number): boolean;
}

/** A nonce lives for one of these at least, and for two at most. */
const slotMillis = 120_000;
const nonceBytes = 16;

/** The key is derived from the key-encryption key, which all replicas share and nobody outside knows. */
export function createDpopNonces(keyEncryptionKey: Secret<Uint8Array>): DpopNonces {
  const key = deriveKey(keyEncryptionKey.reveal(), 'mintmark dpop nonce');
  const nonceOf = (slot: number) =>
    createHmac('sha256', key).update(String(slot)).digest().subarray(0, nonceBytes).toString('base64url');
  const slotAt = (nowMillis: number) => Math.floor(nowMillis / slotMillis);
  return {
    issue: (nowMillis) => nonceOf(slotAt(nowMillis)),
    // Anyone may ask for a nonce, so that the comparison tells nobody anything.
    accepts: (nonce, nowMillis) => [0, 1].some((age) => nonce === nonceOf(slotAt(nowMillis) - age)),
  };
}
