import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCompactJws } from '../../../src/credentials/jwt.ts';

const encode = (text: string) => Buffer.from(text).toString('base64url');
const header = encode('{"alg":"ES256","kid":"k"}');
const claims = encode('{"sub":"a"}');

describe('readCompactJws', () => {
  it('reads a token without believing it', () => {
    expect(readCompactJws(`${header}.${claims}.AAAA`)).toEqual({
      header: { alg: 'ES256', kid: 'k' },
      claims: { sub: 'a' },
      algorithm: 'ES256',
      kid: 'k',
      type: undefined,
      token: `${header}.${claims}.AAAA`,
      signingInput: `${header}.${claims}`,
    });
  });

  it('gives an object or a refusal for any text at all', () => {
    const part = fc.oneof(fc.constant(header), fc.constant(claims), fc.base64String(), fc.string());
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        try {
          expect(typeof readCompactJws(parts.join('.')).algorithm).toBe('string');
        } catch (error) {
          expect(error).toMatchObject({ name: 'OAuthError', reason: expect.stringMatching(/^credential\./) });
        }
      }),
    );
  });

  it('accepts 16 KiB, and refuses what is longer', () => {
    const room = 16 * 1024 - header.length - claims.length - 2;
    const signature = 'A'.repeat(room - (room % 4));
    expect(readCompactJws(`${header}.${claims}.${signature}`).algorithm).toBe('ES256');
    expect(() => readCompactJws(`${header}.${claims}.${signature}AAAA`)).toThrow(
      'expected at most 16384 bytes',
    );
  });
});
