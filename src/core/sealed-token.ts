/** Tokens as a cache keeps them: AES-256-GCM, bound to their name, so that whoever reads the cache has no token. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { Secret } from './secret.ts';

const version = 1;
const nonceBytes = 12;
const tagBytes = 16;
const headerBytes = 1 + nonceBytes + tagBytes;
const keyBytes = 32;

/** A key for one purpose, out of the key-encryption key or of one that was derived from it (RFC 5869). */
export function deriveKey(secret: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(), purpose, keyBytes));
}

/** version (1) ‖ nonce (12) ‖ tag (16) ‖ ciphertext. Each name has a key of its own, so that random nonces never meet. */
export function sealToken(sealKey: Uint8Array, name: string, token: Secret<string>): Uint8Array {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', deriveKey(sealKey, name), nonce);
  cipher.setAAD(Buffer.from(name));
  const ciphertext = Buffer.concat([cipher.update(token.reveal(), 'utf8'), cipher.final()]);
  return Buffer.concat([Buffer.of(version), nonce, cipher.getAuthTag(), ciphertext]);
}

/** Undefined for what was not sealed here, under this name, or was altered since. */
export function openSealedToken(sealKey: Uint8Array, name: string, sealed: Uint8Array): string | undefined {
  const bytes = Buffer.from(sealed);
  if (bytes.length <= headerBytes || bytes[0] !== version) return undefined;
  const nonce = bytes.subarray(1, 1 + nonceBytes);
  const decipher = createDecipheriv('aes-256-gcm', deriveKey(sealKey, name), nonce, {
    authTagLength: tagBytes,
  });
  decipher.setAAD(Buffer.from(name));
  decipher.setAuthTag(bytes.subarray(1 + nonceBytes, headerBytes));
  try {
    return `${decipher.update(bytes.subarray(headerBytes), undefined, 'utf8')}${decipher.final('utf8')}`;
  } catch {
    return undefined;
  }
}
