/** Our own access tokens at our own admin API: what of them is checked, and the reason for each refusal. */
import { describe, expect, it } from 'vitest';
import type { PublicJwk } from '../../../src/core/ports.ts';
import { createVerifyAdminToken } from '../../../src/credentials/admin-token.ts';
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
const verify = createVerifyAdminToken({ issuer, audience, keyRing });

const claims = {
  iss: issuer,
  aud: audience,
  sub: subject,
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
      scopes: ['policy:read', 'audit:read'],
    });
  });

  it('without a scope gives none', async () => {
    const { scopes } = await verify(await sign({ scope: undefined }), testNowMillis);
    expect(scopes).toEqual([]);
  });

  it('is accepted to its last millisecond', async () => {
    const end = claims.exp * 1000;
    await expect(verify(await sign(), end - 1)).resolves.toMatchObject({ subject });
    await expect(verify(await sign(), end)).rejects.toMatchObject({ reason: 'admin.token_expired' });
  });
});

describe('any other token', () => {
  it.each<[string, string, () => Promise<string>]>([
    ['another resource’s', 'admin.token_audience_mismatch', () => sign({ aud: 'alpha' })],
    ['one for two resources', 'admin.token_audience_mismatch', () => sign({ aud: [audience, 'alpha'] })],
    ['one for us, in a list', 'admin.token_audience_mismatch', () => sign({ aud: [audience] })],
    ['one without an audience', 'admin.token_audience_mismatch', () => sign({ aud: undefined })],
    ['another issuer’s', 'admin.token_issuer_mismatch', () => sign({ iss: 'https://other.test' })],
    ['an ID token', 'admin.token_type_mismatch', () => sign({}, { typ: 'JWT' })],
    ['one of the longer type', 'admin.token_type_mismatch', () => sign({}, { typ: 'application/at+jwt' })],
    ['one without a type', 'admin.token_type_mismatch', () => sign({}, { typ: undefined })],
    ['one of a key that left the ring', 'admin.token_key_unknown', () => sign({}, {}, retired)],
    ['one that names no key', 'admin.token_key_unknown', () => sign({}, { kid: undefined })],
    [
      'one with another algorithm than its key’s',
      'admin.token_key_unknown',
      async () => swapHeader(await sign(), { ...header, kid: 'one', alg: 'HS256' }),
    ],
    ['a stranger’s under our kid', 'admin.token_signature_invalid', () => sign({}, { kid: 'one' }, retired)],
    [
      'one whose claims were changed',
      'admin.token_signature_invalid',
      async () => swapClaims(await sign(), { ...claims, scope: 'policy:admin' }),
    ],
    ['one that is over', 'admin.token_expired', () => sign({ exp: testNowSeconds })],
    ['one without an end', 'admin.token_expired', () => sign({ exp: undefined })],
    ['one whose end is no number', 'admin.token_expired', () => sign({ exp: '2999' })],
    ['one without a start', 'admin.token_expired', () => sign({ iat: undefined })],
    ['one without a subject', 'admin.token_malformed', () => sign({ sub: undefined })],
    ['one for no SPIFFE ID', 'admin.token_malformed', () => sign({ sub: 'bootstrap' })],
    [
      'an unsigned one',
      'admin.token_malformed',
      async () => swapHeader(await sign(), { ...header, alg: 'none' }),
    ],
    ['one that brings its key', 'admin.token_malformed', () => sign({}, { jwk: retired.publicJwk }, retired)],
    ['no JWT', 'admin.token_malformed', async () => 'a.b.c'],
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
