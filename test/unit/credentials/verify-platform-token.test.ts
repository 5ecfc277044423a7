import { beforeAll, describe, expect, it } from 'vitest';
import type { TrustedIssuer } from '../../../src/core/policy/snapshot.ts';
import { kubernetes } from '../../../src/credentials/platforms/kubernetes/index.ts';
import { oidc } from '../../../src/credentials/platforms/oidc/index.ts';
import {
  type Claims,
  jwksOf,
  kubernetesClaims,
  makeKey,
  signToken,
  type TestKey,
  testNowMillis,
  testNowSeconds,
} from '../../support/tokens.ts';
import {
  issuerCondition,
  makeIssuer,
  ownIssuer,
  type Present,
  verifierFor,
} from '../../support/tokens-policy.ts';

const issuerUrl = 'https://idp.example';
const lanes = ['client_assertion', 'assertion', 'subject_token', 'bearer'] as const;

let key: TestKey;
let otherKey: TestKey;

beforeAll(async () => {
  [key, otherKey] = await Promise.all([makeKey('k1'), makeKey('k2')]);
});

const issuer = (fields: Partial<TrustedIssuer> = {}) =>
  makeIssuer({ name: 'idp', issuerUrl, keys: { jwks: jwksOf(key) }, ...fields });

const token = (claims: Claims = {}, signer = key, header: Claims = {}) =>
  signToken(
    signer,
    {
      iss: issuerUrl,
      sub: 'worker',
      aud: ownIssuer,
      iat: testNowSeconds,
      exp: testNowSeconds + 600,
      ...claims,
    },
    header,
  );

const verify = async (claims: Claims, fields: Partial<TrustedIssuer> = {}, nowMillis = testNowMillis) =>
  verifierFor(issuer(fields))(await token(claims), 'subject_token', { nowMillis });

const refusedWith = (reason: string, detail?: string) =>
  detail === undefined ? { reason } : { reason, detail };

describe('a platform token', () => {
  it('becomes an identity in our own trust domain', async () => {
    const cluster = makeIssuer({
      name: 'prod-cluster',
      platform: kubernetes,
      issuerUrl,
      keys: { jwks: jwksOf(key) },
      auditClaims: ['kubernetes.io.namespace', 'absent'],
    });
    const claims = kubernetesClaims(issuerUrl, [ownIssuer, 'https://other.example']);
    const identity = await verifierFor(cluster)(await signToken(key, claims, { typ: undefined }), 'bearer');
    const spiffeId = 'spiffe://mint.example/prod-cluster/ns/payments/sa/api';
    expect(identity).toEqual({
      spiffeId,
      credentialKind: 'platform-token',
      issuer: 'prod-cluster',
      claims,
      auditClaims: { 'kubernetes.io.namespace': 'payments' },
      audiences: [ownIssuer, 'https://other.example'],
      clientIds: [spiffeId, 'system:serviceaccount:payments:api'],
      expiresAt: testNowSeconds + 3600,
    });
  });

  it.each([
    ['exp now', { exp: testNowSeconds }, 'credential.expired'],
    ['no exp', { exp: undefined }, 'credential.claim_missing'],
    ['exp as text', { exp: `${testNowSeconds + 600}` }, 'credential.claim_malformed'],
    ['exp after the year 9999', { exp: 1e15 }, 'credential.claim_malformed'],
    ['exp before the epoch', { exp: -1 }, 'credential.claim_malformed'],
    ['nbf 31 s ahead', { nbf: testNowSeconds + 31 }, 'credential.not_yet_valid'],
    ['iat 31 s ahead', { iat: testNowSeconds + 31 }, 'credential.issued_in_future'],
    ['exp before iat', { iat: testNowSeconds + 20, exp: testNowSeconds + 10 }, 'credential.claim_malformed'],
    ['no iat', { iat: undefined }, 'credential.claim_missing'],
    ['a day and a second of life', { exp: testNowSeconds + 86_401 }, 'credential.lifetime_too_long'],
  ])('is refused with %s', async (_what, claims, reason) => {
    await expect(verify(claims)).rejects.toMatchObject(refusedWith(reason));
  });

  it.each([
    ['exp in a second', { exp: testNowSeconds + 1 }],
    ['nbf 30 s ahead', { nbf: testNowSeconds + 30 }],
    ['iat 30 s ahead', { iat: testNowSeconds + 30 }],
    ['no nbf', { nbf: undefined }],
    ['a day of life', { exp: testNowSeconds + 86_400 }],
  ])('is accepted with %s', async (_what, claims) => {
    expect(await verify(claims)).toMatchObject({ spiffeId: 'spiffe://mint.example/idp/worker' });
  });

  it('is refused when it is older than its issuer allows', async () => {
    const claims = { iat: testNowSeconds - 61 };
    await expect(verify(claims, { maxTokenAgeSeconds: 60 })).rejects.toMatchObject(
      refusedWith('credential.too_old', 'age: expected at most 60 s, actual 61 s'),
    );
    expect(await verify({ iat: testNowSeconds - 60 }, { maxTokenAgeSeconds: 60 })).toBeDefined();
  });

  describe('by audience', () => {
    const audiences = [ownIssuer, 'api://other'];
    const present = async (aud: unknown, lane: (typeof lanes)[number]) =>
      verifierFor(issuer({ audiences }))(await token({ aud }), lane);

    it.each(lanes)('is accepted on lane %s for our issuer alone', async (lane) => {
      expect(await present(ownIssuer, lane)).toMatchObject({ audiences: [ownIssuer] });
      expect(await present([ownIssuer], lane)).toMatchObject({ audiences: [ownIssuer] });
    });

    it.each(lanes.slice(1))(
      'is accepted on lane %s for any configured audience among several',
      async (lane) => {
        expect(await present(['https://x.example', 'api://other'], lane)).toBeDefined();
      },
    );

    it('as a client assertion is for one server alone, and that one is our issuer', async () => {
      await expect(present([ownIssuer, 'https://x.example'], 'client_assertion')).rejects.toMatchObject(
        refusedWith('credential.audience_not_sole', 'aud: expected one value, actual 2'),
      );
      await expect(present([ownIssuer, ownIssuer], 'client_assertion')).rejects.toMatchObject(
        refusedWith('credential.audience_not_sole'),
      );
      await expect(present('api://other', 'client_assertion')).rejects.toMatchObject(
        refusedWith('credential.audience_mismatch', `aud: expected "${ownIssuer}", actual "api://other"`),
      );
    });

    it.each([
      ['another value', 'https://x.example', 'credential.audience_mismatch'],
      ['a trailing slash', `${ownIssuer}/`, 'credential.audience_mismatch'],
      ['a longer value', `${ownIssuer}.evil.example`, 'credential.audience_mismatch'],
      ['none', undefined, 'credential.claim_missing'],
      ['null', null, 'credential.claim_malformed'],
      ['an empty list', [], 'credential.claim_malformed'],
      ['a list with a number', [ownIssuer, 1], 'credential.claim_malformed'],
      ['a list in a list', [[ownIssuer]], 'credential.claim_malformed'],
      ['an object', { 0: ownIssuer, length: 1 }, 'credential.claim_malformed'],
    ])('is refused with %s', async (_what, aud, reason) => {
      await expect(present(aud, 'subject_token')).rejects.toMatchObject(refusedWith(reason));
    });
  });

  describe('by what its issuer requires', () => {
    const requiring = (values: (string | number | boolean)[]) => ({ require: [{ path: 'a.b', values }] });

    it.each<[string, (string | number | boolean)[], unknown]>([
      ['a value', ['x'], 'x'],
      ['one of several values', ['w', 'x'], 'x'],
      ['a number', [1], 1],
      ['false', [false], false],
      ['a member of a list', ['x'], ['w', 'x']],
    ])('is accepted with %s', async (_what, values, actual) => {
      expect(await verify({ a: { b: actual } }, requiring(values))).toBeDefined();
    });

    it.each<[string, (string | number | boolean)[], unknown]>([
      ['another value', ['x'], 'y'],
      ['nothing', ['x'], undefined],
      ['text for a number', [1], '1'],
      ['a number for text', ['1'], 1],
      ['text for a boolean', [true], 'true'],
      ['1 for true', [true], 1],
      ['an empty list', ['x'], []],
      ['a list within a list', ['x'], [['x']]],
      ['an object', ['x'], { x: 'x' }],
    ])('is refused with %s', async (_what, values, actual) => {
      await expect(verify({ a: { b: actual } }, requiring(values))).rejects.toMatchObject(
        refusedWith('credential.requirement_unmet'),
      );
    });

    it('is refused where a path has two readings', async () => {
      const fields = requiring(['x']);
      await expect(verify({ a: { b: 'y' }, 'a.b': 'x' }, fields)).rejects.toMatchObject(
        refusedWith('credential.claim_malformed', 'a.b has two readings'),
      );
      expect(await verify({ 'a.b': 'x' }, fields)).toBeDefined();
    });
  });

  describe('under a condition', () => {
    const under = (source: string) => ({ condition: issuerCondition(source) });

    it('is accepted where it holds, and refused where it does not or where the claim is missing', async () => {
      const fields = under('claims.ref.startsWith("refs/heads/")');
      expect(await verify({ ref: 'refs/heads/main' }, fields)).toMatchObject({ issuer: 'idp' });
      await expect(verify({ ref: 'canary' }, fields)).rejects.toMatchObject(
        refusedWith('credential.condition_unmet', 'condition claims.ref.startsWith("refs/heads/"): false'),
      );
      await expect(verify({}, fields)).rejects.toMatchObject(
        refusedWith(
          'credential.condition_unmet',
          'condition claims.ref.startsWith("refs/heads/"): claims.ref is missing',
        ),
      );
    });

    it('is asked after require and after the signature', async () => {
      const fields = { ...under('claims.a == 1'), require: [{ path: 'team', values: ['r'] }] };
      await expect(verify({ a: 2, team: 'x' }, fields)).rejects.toMatchObject(
        refusedWith('credential.requirement_unmet'),
      );
      const forged = token({ a: 2, team: 'r' }, { ...otherKey, kid: key.kid });
      await expect(verifierFor(issuer(fields))(await forged)).rejects.toMatchObject(
        refusedWith('credential.signature_invalid'),
      );
    });

    it('tells issuers apart that share an iss', async () => {
      const present = verifierFor(
        issuer({ name: 'red', ...under('claims.team == "r"') }),
        issuer({ name: 'blue', ...under('claims.team != "r"') }),
      );
      expect(await present(await token({ team: 'r' }))).toMatchObject({ issuer: 'red' });
      expect(await present(await token({ team: 'b' }))).toMatchObject({ issuer: 'blue' });
      await expect(present(await token())).rejects.toMatchObject(refusedWith('credential.condition_unmet'));
    });
  });

  describe('with an iss that several issuers share', () => {
    it('belongs to the one in force where another is only observed', async () => {
      const trial = issuer({ name: 'trial', isObserved: true });
      expect(await verifierFor(trial, issuer())(await token())).toMatchObject({ issuer: 'idp' });
      expect(await verifierFor(trial)(await token())).toMatchObject({ issuer: 'trial' });
      const twice = verifierFor(trial, issuer({ name: 'second', isObserved: true }));
      await expect(twice(await token())).rejects.toMatchObject(refusedWith('credential.ambiguous_issuer'));
    });

    const team = (name: string, value: string, signer = key) =>
      issuer({ name, keys: { jwks: jwksOf(signer) }, require: [{ path: 'team', values: [value] }] });

    it('belongs to the one whose requirements hold', async () => {
      const present = verifierFor(team('red', 'r'), team('blue', 'b'));
      expect(await present(await token({ team: 'b' }))).toMatchObject({ issuer: 'blue' });
      expect(await present(await token({ team: 'r' }))).toMatchObject({ issuer: 'red' });
    });

    it('belongs to the one whose key signed it', async () => {
      const present = verifierFor(
        issuer({ name: 'one' }),
        issuer({ name: 'two', keys: { jwks: jwksOf(otherKey) } }),
      );
      expect(await present(await token({}, otherKey))).toMatchObject({ issuer: 'two' });
      expect(await present(await token({}, key))).toMatchObject({ issuer: 'one' });
    });

    it('is refused where two hold', async () => {
      const present = verifierFor(team('red', 'x'), team('blue', 'x'));
      await expect(present(await token({ team: 'x' }))).rejects.toMatchObject(
        refusedWith('credential.ambiguous_issuer', 'issuers "red", "blue"'),
      );
    });

    it('is refused where one list meets the requirements of two', async () => {
      const present = verifierFor(team('red', 'r'), team('blue', 'b'));
      await expect(present(await token({ team: ['r', 'b'] }))).rejects.toMatchObject(
        refusedWith('credential.ambiguous_issuer'),
      );
    });

    it('is refused where the key of one signed what the requirements of the other ask', async () => {
      const present = verifierFor(team('red', 'r', key), team('blue', 'b', otherKey));
      await expect(present(await token({ team: 'b' }, key))).rejects.toMatchObject(
        refusedWith('credential.key_unknown'),
      );
      expect(await present(await token({ team: 'b' }, otherKey))).toMatchObject({ issuer: 'blue' });
    });

    it('is refused for the reason of the issuer that got furthest', async () => {
      const present = verifierFor(team('red', 'r', otherKey), team('blue', 'b', key));
      await expect(present(await token({ team: 'x' }, key))).rejects.toMatchObject(
        refusedWith('credential.requirement_unmet', 'team: expected "b", actual "x"'),
      );
    });
  });

  describe('of a platform with audiences of somebody else', () => {
    const platform = { ...oidc, foreignAudiences: ['sts.amazonaws.com'] };

    it.each([
      ['alone', 'sts.amazonaws.com'],
      ['beside ours', [ownIssuer, 'sts.amazonaws.com']],
    ])('is refused where one stands %s, whatever the document accepts', async (_name, aud) => {
      const fields = { platform, audiences: [ownIssuer, 'sts.amazonaws.com'] };
      await expect(verify({ aud: ownIssuer }, fields)).resolves.toMatchObject({ issuer: 'idp' });
      await expect(verify({ aud }, fields)).rejects.toMatchObject(
        refusedWith('credential.audience_mismatch', 'aud: "sts.amazonaws.com" is meant for someone else'),
      );
    });
  });

  describe('of a platform of one-time tokens', () => {
    const platform = { ...oidc, isOneTime: true };

    it('may be used once, whatever the document says', async () => {
      const identity = await verify({ jti: 'j1' }, { platform, once: false });
      expect(identity.onceKey).toMatch(/^[\w-]{43}$/);
      expect((await verify({ jti: 'j1' }, { once: false })).onceKey).toBeUndefined();
    });

    it.each([{}, { jti: '' }])('is refused without a jti: %j', async (claims) => {
      await expect(verify(claims, { platform })).rejects.toMatchObject(
        refusedWith('credential.claim_missing', 'jti'),
      );
    });
  });

  describe('that may be used once', () => {
    const once = (name = 'idp'): Present => verifierFor(issuer({ name, once: true }));

    it('has one key for one jti, and another for another jti or issuer', async () => {
      const first = await once()(await token({ jti: 'j1' }));
      const again = await once()(await token({ jti: 'j1', extra: 1 }));
      const other = await once()(await token({ jti: 'j2' }));
      const elsewhere = await once('idp2')(await token({ jti: 'j1' }));
      expect(first.onceKey).toMatch(/^[\w-]{43}$/);
      expect(again.onceKey).toBe(first.onceKey);
      expect(new Set([first.onceKey, other.onceKey, elsewhere.onceKey]).size).toBe(3);
    });

    it('without a jti is known by what was signed, never by its signature', async () => {
      const signed = await token();
      const resigned = await token();
      expect(resigned).not.toBe(signed); // ECDSA signs anew each time
      expect((await once()(resigned)).onceKey).toBe((await once()(signed)).onceKey);
      expect((await once()(await token({ extra: 1 }))).onceKey).not.toBe((await once()(signed)).onceKey);
    });

    it('has no such key where reuse is allowed', async () => {
      expect(await verify({ jti: 'j1' })).not.toHaveProperty('onceKey');
    });
  });

  it.each(oidc.algorithms)('is accepted when signed with %s', async (algorithm) => {
    const signer = await makeKey('k', algorithm);
    const present = verifierFor(issuer({ keys: { jwks: jwksOf(signer) } }));
    expect(await present(await token({}, signer))).toMatchObject({ issuer: 'idp' });
  });

  it('has a type that says so, or none', async () => {
    const present = verifierFor(issuer());
    for (const typ of ['JWT', 'jwt', 'application/jwt', undefined]) {
      expect(await present(await token({}, key, { typ }))).toBeDefined();
    }
    const assertion = await token({}, key, { typ: 'client-authentication+jwt' });
    expect(await present(assertion, 'client_assertion')).toBeDefined();
    await expect(present(assertion, 'subject_token')).rejects.toMatchObject(
      refusedWith('credential.type_refused'),
    );
  });

  it('of an issuer that nobody registered is refused, with a hint at a slash', async () => {
    const present = verifierFor(issuer());
    await expect(present(await token({ iss: 'https://x.example' }))).rejects.toMatchObject(
      refusedWith('credential.unknown_issuer', 'iss "https://x.example"'),
    );
    await expect(present(await token({ iss: `${issuerUrl}/` }))).rejects.toMatchObject(
      refusedWith(
        'credential.unknown_issuer',
        'iss "https://idp.example/", which differs from a registered one by its last slash',
      ),
    );
  });
});
