/** Private keys at rest: AES-256-GCM under the key-encryption key, bound to the key's id and algorithm. */
import { createCipheriv, createDecipheriv, createPrivateKey, type KeyObject, randomBytes } from 'node:crypto';
import type { Secret } from '../../core/secret.ts';
import type { KeyedFormat } from '../../core/token-format.ts';

const version = 1;
const nonceBytes = 12;
const tagBytes = 16;
const headerBytes = 1 + nonceBytes + tagBytes;

export interface WrappingContext {
  readonly kid: string;
  readonly algorithm: string;
  /** What the key signs: a row that is moved to the keys of another format does not open there. */
  readonly format?: KeyedFormat | undefined;
}

export function requireKeyEncryptionKey(key: Secret<Uint8Array>): void {
  const { length } = key.reveal();
  if (length !== 32) throw new Error(`the key-encryption key must be 32 bytes, not ${length}`);
}

/** version (1) ‖ nonce (12) ‖ tag (16) ‖ ciphertext of the PKCS #8 key. */
export function wrap(privateKey: KeyObject, kek: Secret<Uint8Array>, context: WrappingContext): Uint8Array {
  const plaintext = privateKey.export({ type: 'pkcs8', format: 'der' });
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', kek.reveal(), nonce);
  cipher.setAAD(additionalData(context));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  plaintext.fill(0);
  return Buffer.concat([Buffer.of(version), nonce, cipher.getAuthTag(), ciphertext]);
}

/**
 * Under the one key-encryption key or, where there is one, the previous. Throws where both, the context or any byte are
 * others than when it was wrapped.
 */
export function unwrap(
  wrapped: Uint8Array,
  kek: Secret<Uint8Array>,
  context: WrappingContext,
  previous?: Secret<Uint8Array>,
): KeyObject {
  const opener = previous !== undefined && !opens(wrapped, kek, context) ? previous : kek;
  return unwrapUnder(wrapped, opener, context);
}

export function opens(wrapped: Uint8Array, kek: Secret<Uint8Array>, context: WrappingContext): boolean {
  try {
    unwrapUnder(wrapped, kek, context);
    return true;
  } catch {
    return false;
  }
}

function unwrapUnder(wrapped: Uint8Array, kek: Secret<Uint8Array>, context: WrappingContext): KeyObject {
  const bytes = Buffer.from(wrapped);
  if (bytes.length <= headerBytes || bytes[0] !== version) {
    throw new Error(`signing key ${context.kid} is stored in a format that this version does not know`);
  }
  const decipher = createDecipheriv('aes-256-gcm', kek.reveal(), bytes.subarray(1, 1 + nonceBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(additionalData(context));
  decipher.setAuthTag(bytes.subarray(1 + nonceBytes, headerBytes));
  try {
    const plaintext = Buffer.concat([decipher.update(bytes.subarray(headerBytes)), decipher.final()]);
    const key = createPrivateKey({ key: plaintext, format: 'der', type: 'pkcs8' });
    plaintext.fill(0);
    return key;
  } catch (cause) {
    throw new Error(
      `signing key ${context.kid} does not decrypt: MINTMARK_KEY_ENCRYPTION_KEY is not the one it was stored with, nor is the previous one where it is set, or the stored key was altered`,
      { cause },
    );
  }
}

function additionalData({ kid, algorithm, format = 'access_token' }: WrappingContext): Buffer {
  const of = format === 'access_token' ? [] : [format]; // as it was before there were others
  return Buffer.from(JSON.stringify(['mintmark signing key', version, algorithm, kid, ...of]));
}
