/** What a bound token needs beside it, and that an unbound one needs nothing. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Confirmation } from '../../src/core/own-token.ts';
import { parseSpiffeId } from '../../src/core/spiffe-id.ts';
import { requireBinding, type ShownBinding, thumbprintOf } from '../../src/core/token-binding.ts';

const certificate = Buffer.from('a certificate');
const thumbprint = createHash('sha256').update(certificate).digest('base64url');
const subject = parseSpiffeId('spiffe://prod.test/orders') ?? expect.unreachable();
const toKey = { jkt: 'key' };
const toCertificate = { 'x5t#S256': thumbprint };

it('names a certificate by the hash of its DER', () => {
  expect(thumbprintOf(certificate)).toBe(thumbprint);
});

describe('a token', () => {
  it.each<[string, Confirmation | undefined, ShownBinding]>([
    ['bound to nothing', undefined, { scheme: 'Bearer' }],
    ['bound to nothing, beside a certificate', undefined, { scheme: 'Bearer', certificate }],
    ['bound to the key that is shown', toKey, { scheme: 'DPoP', jkt: 'key' }],
    ['bound to that key, beside a certificate', toKey, { scheme: 'DPoP', jkt: 'key', certificate }],
    ['bound to the certificate that is shown', toCertificate, { scheme: 'Bearer', certificate }],
  ])('is let through: %s', (_, confirmation, shown) => {
    expect(() => requireBinding({ confirmation, subject }, shown)).not.toThrow();
  });

  it.each<[string, string, Confirmation | undefined, ShownBinding]>([
    ['a key’s, as a bearer token', 'token.binding_scheme', toKey, { scheme: 'Bearer' }],
    ['a key’s, as a bearer token with it', 'token.binding_scheme', toKey, { scheme: 'Bearer', jkt: 'key' }],
    ['nobody’s, beside a proof', 'token.binding_scheme', undefined, { scheme: 'DPoP', jkt: 'key' }],
    [
      'a certificate’s, beside a proof',
      'token.binding_scheme',
      toCertificate,
      { scheme: 'DPoP', jkt: 'key', certificate },
    ],
    ['a key’s, without it', 'token.binding_missing', toKey, { scheme: 'DPoP', certificate }],
    ['a certificate’s, without it', 'token.binding_missing', toCertificate, { scheme: 'Bearer' }],
    ['another key’s', 'token.binding_mismatch', toKey, { scheme: 'DPoP', jkt: 'other' }],
    [
      'another certificate’s',
      'token.binding_mismatch',
      toCertificate,
      { scheme: 'Bearer', certificate: Buffer.from('another') },
    ],
    [
      'a key’s, named as a certificate is',
      'token.binding_mismatch',
      { jkt: thumbprint },
      { scheme: 'DPoP', jkt: 'key', certificate },
    ],
  ])('is refused: %s', (_, reason, confirmation, shown) => {
    expect(() => requireBinding({ confirmation, subject }, shown)).toThrow(
      expect.objectContaining({
        reason,
        code: 'invalid_token',
        detail: expect.stringMatching(/^sub spiffe:\/\/prod\.test\/orders/),
      }),
    );
  });
});
