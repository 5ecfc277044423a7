/** Subject tokens: whom each kind is about, and what one of our own leaves to the next. */
import { describe, expect, it } from 'vitest';
import type { DeclaredType } from '../../../src/core/credential.ts';
import type { Lane } from '../../../src/core/error.ts';
import type { PublicJwk, Verify } from '../../../src/core/ports.ts';
import { Secret } from '../../../src/core/secret.ts';
import { createVerifyOwnToken } from '../../../src/credentials/own-token.ts';
import { createVerifySubject } from '../../../src/credentials/subject-token.ts';
import { makeKey, signToken, testNowMillis, testNowSeconds } from '../../support/tokens.ts';
import { compileText, exampleText } from '../policy/example-policy.ts';

const issuer = 'https://sts.test';
const key = await makeKey('one');
const policy = compileText(exampleText);
const publicKey = { ...key.publicJwk, kid: key.kid, alg: key.algorithm, use: 'sig' } as PublicJwk;
const asCredential: Verify = () => Promise.reject(new Error('verified as a credential'));
const verifySubject = createVerifySubject({
  issuer,
  verify: asCredential,
  verifyOwnToken: createVerifyOwnToken({
    issuer,
    revocations: { covers: () => undefined },
    keyRing: { publicKeys: () => [publicKey] },
  }),
});

const claims = {
  iss: issuer,
  aud: 'spiffe://prod.test/agent',
  sub: 'spiffe://prod.test/ann',
  client_id: 'spiffe://prod.test/gateway',
  jti: 'a-token',
  iat: testNowSeconds,
  exp: testNowSeconds + 600,
  scope: 'read write',
  tenant: 'acme',
};
const sign = (changed: object = {}) => signToken(key, { ...claims, ...changed }, { typ: 'at+jwt' });
const present = (token: string, lane: Lane = 'subject_token', declaredType: DeclaredType = 'jwt') =>
  verifySubject({ lane, token: new Secret(token), declaredType }, policy, testNowMillis);

describe('a token of our own', () => {
  it('is about its sub, to its end, and leaves its scopes and its chain', async () => {
    const act = { sub: 'spiffe://prod.test/b', act: { sub: 'spiffe://prod.test/a' } };
    expect(await present(await sign({ act, may_act: { sub: 'spiffe://prod.test/c' } }))).toEqual({
      identity: {
        spiffeId: claims.sub,
        credentialKind: 'own-token',
        claims: {},
        auditClaims: {},
        audiences: [claims.aud],
        clientIds: [],
        expiresAt: claims.exp,
      },
      inherited: { scopes: ['read', 'write'], act, mayAct: { sub: 'spiffe://prod.test/c' } },
    });
    expect((await present(await sign({ scope: undefined }))).inherited).toEqual({ scopes: [] });
  });

  it.each([
    [{ jkt: 'thumbprint' }, 'token.proof_missing'],
    [{ 'x5t#S256': 'thumbprint' }, 'token.proof_missing'],
    [{ kid: 'thumbprint' }, 'token.malformed'],
  ])('that is bound by %j is refused, as nobody shows the key', async (cnf, reason) => {
    await present(await sign());
    await expect(present(await sign({ cnf }))).rejects.toMatchObject({ reason });
  });

  it.each([
    'spiffe://prod.test/a',
    {},
    { sub: 'a' },
    { sub: 'spiffe://prod.test/a', act: null },
    { sub: 'spiffe://prod.test/a', act: { sub: '' } },
  ])('whose act is %j is refused', async (act) => {
    await expect(present(await sign({ act }))).rejects.toMatchObject({ reason: 'token.malformed' });
  });

  it.each(['jwt-svid', 'aws4_request'] as const)('that is declared %s is refused', async (declaredType) => {
    await expect(present(await sign(), 'subject_token', declaredType)).rejects.toMatchObject({
      reason: 'credential.type_mismatch',
    });
  });
});

it.each<[string, Lane, () => Promise<string>]>([
  ['another issuer’s token', 'subject_token', () => sign({ iss: 'https://other.test' })],
  ['a text that is no JWT', 'subject_token', async () => '%7B%7D'],
  ['our token as an assertion', 'assertion', () => sign()],
])('verifies %s as a credential', async (_name, lane, token) => {
  await expect(present(await token(), lane)).rejects.toThrow('verified as a credential');
});
