/** Our own access tokens at our own admin API: what of them is checked, and the reason for each refusal. */
import { describe, expect, it } from 'vitest';
import { requireSoleAudience } from '../../../src/core/own-token.ts';
import type { PublicJwk } from '../../../src/core/ports.ts';
import { createVerifyOwnToken } from '../../../src/credentials/own-token.ts';
import { makeKey, signToken, type TestKey, testNowMillis, testNowSeconds } from '../../support/tokens.ts';

const issuer = 'https://sts.test';
const audience = `${issuer}/admin/v1`;
const subject = 'spiffe://prod.test/ann';

const key = await makeKey('one');
const rsaKey = await makeKey('rsa', 'RS256');
const retired = await makeKey('retired');
const publish = ({ publicJwk, kid, algorithm }: TestKey) =>
  ({ ...publicJwk, kid, alg: algorithm, use: 'sig' }) as PublicJwk;
const keyRing = { publicKeys: () => [publish(rsaKey), publish(key)] };
let revoked: string | undefined;
const revocations = {
  covers: ({ jti }: { readonly jti: string }) => (jti === revoked ? ('token' as const) : undefined),
};
const verifyOwn = createVerifyOwnToken({ issuer, keyRing, revocations });
/** As the admin API asks it. */
const verify = async (token: string, nowMillis: number) => {
  const verified = await verifyOwn(token, nowMillis);
  requireSoleAudience(verified, audience);
  return verified;
};

const claims = {
  iss: issuer,
  aud: audience,
  sub: subject,
  client_id: 'spiffe://prod.test/pipeline',
  jti: 'a-token',
  iat: testNowSeconds,
  exp: testNowSeconds + 600,
  scope: 'policy:read audit:read',
};
const header = { typ: 'at+jwt' };
const sign = (changed: object = {}, headers: object = {}, by = key) =>
  signToken(by, { ...claims, ...changed }, { ...header, ...headers });

describe('a token that we minted for the admin API', () => {
  it.each([key, rsaKey])('is accepted while a published key signed it: $algorithm', async (by) => {
    await expect(verify(await sign({}, {}, by), testNowMillis)).resolves.toEqual({
      subject,
      clientId: 'spiffe://prod.test/pipeline',
      audiences: [audience],
      scopes: ['policy:read', 'audit:read'],
      jti: 'a-token',
      kid: by.kid,
      issuedAt: testNowSeconds,
      expiresAt: testNowSeconds + 600,
      confirmation: undefined,
      claims,
    });
  });

  it('without a scope gives none', async () => {
    const { scopes } = await verify(await sign({ scope: undefined }), testNowMillis);
    expect(scopes).toEqual([]);
  });

  it('is refused once it is revoked', async () => {
    revoked = 'another';
    await expect(verify(await sign(), testNowMillis)).resolves.toMatchObject({ jti: 'a-token' });
    revoked = 'a-token';
    const refusal = { reason: 'token.revoked', code: 'invalid_token', detail: 'revoked by token' };
    await expect(verify(await sign(), testNowMillis)).rejects.toMatchObject(refusal);
    revoked = undefined;
  });

  it('is accepted to its last millisecond', async () => {
    const end = claims.exp * 1000;
    await expect(verify(await sign(), end - 1)).resolves.toMatchObject({ subject });
    await expect(verify(await sign(), end)).rejects.toMatchObject({ reason: 'token.expired' });
  });
});

describe('any other token', () => {
  it.each<[string, string, () => Promise<string>]>([
    ['another resource’s', 'token.audience_mismatch', () => sign({ aud: 'alpha' })],
    ['one for two resources', 'token.audience_mismatch', () => sign({ aud: [audience, 'alpha'] })],
    ['one for us, in a list', 'token.audience_mismatch', () => sign({ aud: [audience] })],
    ['one without an audience', 'token.audience_mismatch', () => sign({ aud: undefined })],
    ['another issuer’s', 'token.issuer_mismatch', () => sign({ iss: 'https://other.test' })],
    ['an ID token', 'token.type_mismatch', () => sign({}, { typ: 'JWT' })],
    ['one of the longer type', 'token.type_mismatch', () => sign({}, { typ: 'application/at+jwt' })],
    ['one without a type', 'token.type_mismatch', () => sign({}, { typ: undefined })],
    ['one of a key that left the ring', 'token.key_unknown', () => sign({}, {}, retired)],
    ['one that names no key', 'token.key_unknown', () => sign({}, { kid: undefined })],
    [
      'one with another algorithm than its key’s',
      'token.key_unknown',
      async () => swapHeader(await sign(), { ...header, kid: 'one', alg: 'HS256' }),
    ],
    ['a stranger’s under our kid', 'token.signature_invalid', () => sign({}, { kid: 'one' }, retired)],
    [
      'one whose claims were changed',
      'token.signature_invalid',
      async () => swapClaims(await sign(), { ...claims, scope: 'policy:admin' }),
    ],
    ['one that is over', 'token.expired', () => sign({ exp: testNowSeconds })],
    ['one without an end', 'token.expired', () => sign({ exp: undefined })],
    ['one whose end is no number', 'token.expired', () => sign({ exp: '2999' })],
    ['one without a start', 'token.expired', () => sign({ iat: undefined })],
    ['one without a subject', 'token.malformed', () => sign({ sub: undefined })],
    ['one without an id', 'token.malformed', () => sign({ jti: undefined })],
    ['one bound to what we cannot check', 'token.malformed', () => sign({ cnf: { jwk: {} } })],
    ['one bound to nothing', 'token.malformed', () => sign({ cnf: 'jkt' })],
    ['one for no SPIFFE ID', 'token.malformed', () => sign({ sub: 'bootstrap' })],
    ['an unsigned one', 'token.malformed', async () => swapHeader(await sign(), { ...header, alg: 'none' })],
    ['one that brings its key', 'token.malformed', () => sign({}, { jwk: retired.publicJwk }, retired)],
    ['no JWT', 'token.malformed', async () => 'a.b.c'],
  ])('is refused: %s', async (_, reason, token) => {
    const text = await token();
    const error: unknown = await verify(text, testNowMillis).catch((refusal: unknown) => refusal);
    expect(error).toMatchObject({ reason, code: 'invalid_token' });
    expect(String(error)).not.toContain(text);
  });
});

function swapHeader(token: string, changed: object): string {
  return [encode(changed), ...token.split('.').slice(1)].join('.');
}

function swapClaims(token: string, changed: object): string {
  const [first, , last] = token.split('.');
  return [first, encode(changed), last].join('.');
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

describe('a token that comes again', () => {
  const ring: PublicJwk[] = [publish(key)];
  const verifyAgain = createVerifyOwnToken({ issuer, keyRing: { publicKeys: () => ring }, revocations });

  it('is judged anew in all that may change', async () => {
    const token = await sign();
    await verifyAgain(token, testNowMillis);
    await expect(verifyAgain(token, testNowMillis + 600_000)).rejects.toMatchObject({
      reason: 'token.expired',
    });
    await expect(verifyAgain(token, testNowMillis)).resolves.toMatchObject({ subject });
    ring.length = 0;
    await expect(verifyAgain(token, testNowMillis)).rejects.toMatchObject({ reason: 'token.key_unknown' });
    // The same id in another key: what was known of the first says nothing of it.
    ring.push(publish({ ...retired, kid: key.kid }));
    await expect(verifyAgain(token, testNowMillis)).rejects.toMatchObject({
      reason: 'token.signature_invalid',
    });
    ring.splice(0, 1, publish(key));
    await expect(verifyAgain(token, testNowMillis)).resolves.toMatchObject({ subject });
  });

  it('is another token where one bit of it differs', async () => {
    const token = await sign();
    await verifyOwn(token, testNowMillis);
    const [head, payload, signature = ''] = token.split('.');
    const changed = signature.startsWith('A') ? `B${signature.slice(1)}` : `A${signature.slice(1)}`;
    for (let time = 0; time < 2; time++) {
      await expect(verifyOwn(`${head}.${payload}.${changed}`, testNowMillis)).rejects.toMatchObject({
        reason: 'token.signature_invalid',
      });
    }
  });

  it('still holds after more others than are remembered', async () => {
    const tokens = await Promise.all(
      Array.from({ length: 10_001 }, () => sign({ jti: crypto.randomUUID() })),
    );
    for (const token of tokens) await verifyAgain(token, testNowMillis);
    for (const token of [...tokens.slice(0, 2), ...tokens.slice(-2)]) {
      await expect(verifyAgain(token, testNowMillis)).resolves.toMatchObject({ subject });
    }
  }, 60_000);
});
