/** Signed GetCallerIdentity requests, made by the AWS SDK's signer, against an STS that recomputes their signature. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type AwsCaller,
  identityXml,
  type PresignOptions,
  presign,
  type StsDouble,
  startStsDouble,
  subjectTokenOf,
  urlOf,
} from '../../../../test/support/sts-double.ts';
import { testNowMillis, testNowSeconds } from '../../../../test/support/tokens.ts';
import {
  credential,
  issuerCondition,
  makeIssuer,
  ownIssuer,
  ownTrustDomain,
  trusting,
} from '../../../../test/support/tokens-policy.ts';
import type { DeclaredType } from '../../../core/credential.ts';
import type { Lane } from '../../../core/error.ts';
import { openKeySets } from '../../jwks.ts';
import { createVerifier } from '../../verify.ts';
import { platforms } from '../index.ts';
import { awsCallerIdentity } from './index.ts';

const host = 'sts.us-east-1.amazonaws.com';
const region = 'us-east-1';
const account = '123456789012';
const role: AwsCaller = {
  accessKeyId: 'ASIAEXAMPLEEXAMPLE01',
  secretAccessKey: 'role-secret',
  sessionToken: 'IQoJb3JpZ2luX2VjE+/Example/Session+Token==',
  arn: `arn:aws:sts::${account}:assumed-role/orders-api/i-0abc`,
  userId: 'AROAEXAMPLEEXAMPLE01:i-0abc',
  account,
};
const user: AwsCaller = {
  accessKeyId: 'AKIAEXAMPLEEXAMPLE02',
  secretAccessKey: 'user-secret',
  arn: `arn:aws:iam::${account}:user/team/builder`,
  userId: 'AIDAEXAMPLEEXAMPLE02',
  account,
};
const genuine: PresignOptions = { host, region, audience: ownIssuer, atMillis: testNowMillis };
const headers = { host, 'x-mintmark-audience': ownIssuer };
const own = makeIssuer({
  name: 'aws',
  platform: awsCallerIdentity,
  issuerUrl: 'https://sts.amazonaws.com',
  require: [{ path: 'account', values: [account] }],
});
const keySets = openKeySets({
  fetchDocument: () => Promise.reject(new Error('nothing is to be fetched')),
  clock: { now: () => testNowMillis },
});

let sts: StsDouble;
beforeAll(async () => {
  sts = await startStsDouble(host, region, [role, user]);
});
afterAll(() => sts.close());
beforeEach(() => {
  sts.answer = undefined;
  sts.format = 'json';
});

function present(
  token: string,
  {
    lane = 'subject_token',
    declaredType = 'aws4_request',
    issuers = [own],
    nowMillis = testNowMillis,
  }: {
    lane?: Lane;
    declaredType?: DeclaredType;
    issuers?: ReturnType<typeof makeIssuer>[];
    nowMillis?: number;
  } = {},
) {
  const { callPlatform } = sts;
  const verify = createVerifier({
    keySets,
    issuer: ownIssuer,
    trustDomain: ownTrustDomain,
    platforms,
    callPlatform,
    readTokenFile: () => Promise.reject(new Error('no file is to be read')),
  });
  return verify(credential(token, lane, declaredType), trusting(...issuers), nowMillis);
}

const tokenFor = async (caller: AwsCaller, options: Partial<PresignOptions> = {}) =>
  subjectTokenOf(urlOf(await presign(caller, { ...genuine, ...options })), headers);

describe('accepted', () => {
  it('takes a role for its account and name, whatever the session is called', async () => {
    const identity = await present(await tokenFor(role));
    expect(identity).toMatchObject({
      spiffeId: `spiffe://${ownTrustDomain}/aws/account/${account}/role/orders-api`,
      credentialKind: 'platform-token',
      issuer: 'aws',
      expiresAt: testNowSeconds + 900,
      claims: {
        account,
        arn: `arn:aws:iam::${account}:role/orders-api`,
        role: 'orders-api',
        session: 'i-0abc',
        principal_id: 'AROAEXAMPLEEXAMPLE01',
        partition: 'aws',
      },
    });
    expect(identity.onceKey).toBeDefined();
  });

  it('takes a user, and an answer in XML', async () => {
    sts.format = 'xml';
    const identity = await present(await tokenFor(user));
    expect(identity.spiffeId).toBe(`spiffe://${ownTrustDomain}/aws/account/${account}/user/builder`);
  });

  it('gives one signature one key of first use, however its request is spelt', async () => {
    const request = await presign(role, genuine);
    const { 'X-Amz-Signature': signature = '', ...rest } = request.query ?? {};
    const reordered = `${urlOf(request).split('?')[0]}?X-Amz-Signature=${signature}&${urlOf({ ...request, query: rest } as never).split('?')[1]}`;
    const one = await present(subjectTokenOf(urlOf(request), headers));
    const same = await present(subjectTokenOf(reordered, { 'X-Mintmark-Audience': ownIssuer }));
    const other = await present(await tokenFor(role, { atMillis: testNowMillis - 1000 }));
    expect(same.onceKey).toBe(one.onceKey);
    expect(other.onceKey).not.toBe(one.onceKey);
  });
});

describe('refused before anybody is asked', () => {
  const cases: [string, string, () => Promise<string>][] = [
    [
      'a declared audience that is not ours',
      'credential.audience_mismatch',
      async () => {
        const request = await presign(role, { ...genuine, audience: 'https://other.example' });
        return subjectTokenOf(urlOf(request), { host, 'x-mintmark-audience': 'https://other.example' });
      },
    ],
    [
      'no audience',
      'credential.audience_mismatch',
      async () => subjectTokenOf(urlOf(await presign(role, genuine)), { host }),
    ],
    [
      'a region that is not in the table',
      'credential.platform_refused',
      () => tokenFor(role, { region: 'xx-evil-1', host: 'sts.xx-evil-1.amazonaws.com' }),
    ],
    [
      'the scope of another region than the host’s',
      'credential.platform_refused',
      () => tokenFor(role, { region: 'eu-west-1' }),
    ],
    ['another host', 'credential.platform_refused', () => tokenFor(role, { host: 'sts.evil.example' })],
    [
      'a host with a user name before it',
      'credential.malformed',
      async () =>
        subjectTokenOf(
          urlOf(await presign(role, genuine)).replace('//', '//sts.us-east-1.amazonaws.com@'),
          headers,
        ),
    ],
    [
      'a Host header of another host',
      'credential.platform_refused',
      async () =>
        subjectTokenOf(urlOf(await presign(role, genuine)), { ...headers, host: 'sts.evil.example' }),
    ],
    [
      'another service in the scope',
      'credential.platform_refused',
      async () => (await tokenFor(role)).replace('sts%252Faws4', 'iam%252Faws4'),
    ],
    [
      'another day in the scope',
      'credential.platform_refused',
      async () => (await tokenFor(role)).replace(/%252F\d{8}%252F/, '%252F20200101%252F'),
    ],
    [
      'another Action',
      'credential.platform_refused',
      () => tokenFor(role, { query: { Action: 'GetSessionToken' } }),
    ],
    [
      'another Version',
      'credential.platform_refused',
      () => tokenFor(role, { query: { Version: '2010-05-08' } }),
    ],
    ['an expiry that is not 300', 'credential.platform_refused', () => tokenFor(role, { expiresIn: 900 })],
    ['an extra parameter', 'credential.platform_refused', () => tokenFor(role, { query: { RoleArn: 'x' } })],
    [
      'a repeated parameter',
      'credential.platform_refused',
      async () => subjectTokenOf(`${urlOf(await presign(role, genuine))}&Action=GetCallerIdentity`, headers),
    ],
    [
      'a parameter in another case',
      'credential.platform_refused',
      async () => subjectTokenOf(`${urlOf(await presign(role, genuine))}&action=GetSessionToken`, headers),
    ],
    [
      'an extra header',
      'credential.platform_refused',
      async () =>
        subjectTokenOf(urlOf(await presign(role, genuine)), { host, 'x-forwarded-for': '10.0.0.1' }),
    ],
    [
      'a header twice',
      'credential.platform_refused',
      async () =>
        subjectTokenOf(urlOf(await presign(role, genuine)), {
          'x-mintmark-audience': ownIssuer,
          'X-Mintmark-Audience': ownIssuer,
        }),
    ],
    [
      'a signature in upper case, which would be a second spelling',
      'credential.malformed',
      async () =>
        (await tokenFor(role)).replace(
          /(Signature%3D)([0-9a-f]{64})/,
          (_all, name, hex) => name + hex.toUpperCase(),
        ),
    ],
    [
      'POST',
      'credential.malformed',
      async () => subjectTokenOf(urlOf(await presign(role, genuine)), headers, 'POST'),
    ],
    [
      'another path',
      'credential.malformed',
      async () => subjectTokenOf(urlOf(await presign(role, genuine)).replace('/?', '/x?'), headers),
    ],
    [
      'a fragment',
      'credential.malformed',
      async () => subjectTokenOf(`${urlOf(await presign(role, genuine))}#x`, headers),
    ],
    ['what is not JSON', 'credential.malformed', async () => '%7Bno'],
    [
      'a request that is too old',
      'credential.too_old',
      () => tokenFor(role, { atMillis: testNowMillis - 301_000 }),
    ],
    [
      'a request from the future',
      'credential.issued_in_future',
      () => tokenFor(role, { atMillis: testNowMillis + 31_000 }),
    ],
  ];

  it.each(cases)('%s: %s', async (_name, reason, make) => {
    const before = sts.count();
    await expect(present(await make())).rejects.toMatchObject({ reason });
    expect(sts.count()).toBe(before);
  });

  it.each([
    ['client_assertion', 'jwt'],
    ['assertion', 'any'],
    ['bearer', 'any'],
    ['subject_token', 'jwt'],
  ] as const)('on the lane %s, declared %s', async (lane, declaredType) => {
    const refused = present(await tokenFor(role), { lane, declaredType });
    await expect(refused).rejects.toMatchObject({ reason: 'credential.type_mismatch' });
  });

  it('a JWT that is declared as a signed request', async () => {
    await expect(present('a.b.c')).rejects.toMatchObject({ reason: 'credential.type_mismatch' });
  });

  it('where no document registers AWS accounts', async () => {
    const before = sts.count();
    const refused = present(await tokenFor(role), { issuers: [makeIssuer({ name: 'other' })] });
    await expect(refused).rejects.toMatchObject({ reason: 'credential.unknown_issuer' });
    expect(sts.count()).toBe(before);
  });
});

describe('refused by STS', () => {
  it.each([
    ['an audience that was not signed', () => tokenFor(role, { audience: 'https://other.example' })],
    [
      'a date that was not signed',
      async () =>
        (await tokenFor(role, { atMillis: testNowMillis - 60_000 })).replace(
          /(Date%3D\d{8}T\d{4})\d\d/,
          '$159',
        ),
    ],
    ['another secret', () => tokenFor({ ...role, secretAccessKey: 'guessed' })],
    ['a session token that was not signed', async () => (await tokenFor(role)).replace('Session', 'Xession')],
    [
      'a signature of zeros',
      async () => (await tokenFor(role)).replace(/(Signature%3D)[0-9a-f]{64}/, `$1${'0'.repeat(64)}`),
    ],
  ])('%s', async (_name, make) => {
    const before = sts.count();
    await expect(present(await make())).rejects.toMatchObject({ reason: 'credential.signature_invalid' });
    expect(sts.count()).toBe(before + 1);
  });
});

describe('answers', () => {
  const xml = identityXml(role.arn, role.userId, account);
  const json = (arn: string, userId = role.userId, ofAccount = account, more = {}) =>
    JSON.stringify({
      GetCallerIdentityResponse: {
        GetCallerIdentityResult: { Arn: arn, UserId: userId, Account: ofAccount, ...more },
        ResponseMetadata: { RequestId: 'r' },
      },
    });

  it('takes this answer, from which the refused ones differ in one thing each', async () => {
    for (const body of [xml, json(role.arn), `<?xml version="1.0" encoding="UTF-8"?>\n${xml}`]) {
      sts.answer = { status: 200, body };
      await expect(present(await tokenFor(role))).resolves.toMatchObject({ claims: { role: 'orders-api' } });
    }
  });

  it.each([
    ['another root', xml.replaceAll('GetCallerIdentityResponse', 'GetSessionTokenResponse')],
    ['another root that holds the right one', `<Error>${xml}</Error>`],
    ['two roots', `${xml}${xml}`],
    ['an entity', xml.replace('orders-api', '&role;')],
    ['a DOCTYPE', `<!DOCTYPE x [<!ENTITY role "admin">]>${xml}`],
    ['a comment', xml.replace('orders-api', 'orders<!-- -->-api')],
    ['CDATA', xml.replace('orders-api', '<![CDATA[orders-api]]>')],
    ['a processing instruction', xml.replace('<Arn>', '<?x y?><Arn>')],
    ['a second Arn', xml.replace('<UserId>', `<Arn>${role.arn}</Arn><UserId>`)],
    ['an unknown element', xml.replace('<UserId>', '<Extra>1</Extra><UserId>')],
    ['an Arn within the Arn', xml.replace(role.arn, `<Arn>${role.arn}</Arn>`)],
    ['another namespace', xml.replace('sts.amazonaws.com', 'evil.example')],
    ['no namespace', xml.replace(/ xmlns="[^"]*"/, '')],
    ['another attribute', xml.replace('<Arn>', '<Arn id="x">')],
    ['an element that is not closed', xml.replace('</GetCallerIdentityResponse>', '')],
    ['an element closed twice', `${xml}</GetCallerIdentityResponse>`],
    ['text around the elements', `x${xml}`],
    ['deep nesting', `<A xmlns="https://sts.amazonaws.com/doc/2011-06-15/">${'<A>'.repeat(2000)}`],
    ['what is neither', 'arn'],
    ['nothing', ''],
    ['an unknown member', json(role.arn, role.userId, account, { Extra: '1' })],
    ['another account than the ARN’s', json(role.arn, role.userId, '999999999999')],
    ['another partition than the region’s', json(role.arn.replace('arn:aws:', 'arn:aws-cn:'))],
    ['a session of another name in UserId', json(role.arn, 'AROAEXAMPLEEXAMPLE01:other')],
    ['the root user', json(`arn:aws:iam::${account}:root`, account)],
    [
      'a federated user, whose name its caller chose',
      json(`arn:aws:sts::${account}:federated-user/x`, `${account}:x`),
    ],
    ['a role that the caller is not said to have assumed', json(`arn:aws:iam::${account}:role/orders-api`)],
  ])('refuses %s', async (_name, body) => {
    sts.answer = { status: 200, body };
    await expect(present(await tokenFor(role))).rejects.toMatchObject({
      reason: 'credential.platform_refused',
    });
  });

  it.each([
    [403, 'credential.signature_invalid'],
    [400, 'credential.signature_invalid'],
    [201, 'credential.signature_invalid'],
    [429, 'credential.platform_unavailable'],
    [503, 'credential.platform_unavailable'],
    [302, 'credential.platform_unavailable'],
  ])('refuses status %i, whatever the body says', async (status, reason) => {
    sts.answer = { status, body: json(role.arn), location: `https://${host}/` };
    const before = sts.count();
    await expect(present(await tokenFor(role))).rejects.toMatchObject({ reason });
    expect(sts.count()).toBe(before + 1);
  });

  it('refuses an answer that is too large', async () => {
    sts.answer = { status: 200, body: xml + ' '.repeat(64 * 1024) };
    await expect(present(await tokenFor(role))).rejects.toMatchObject({
      reason: 'credential.platform_unavailable',
    });
  });
});

describe('documents', () => {
  it('refuses an account that no document requires', async () => {
    const other = makeIssuer({
      ...own,
      name: 'other',
      require: [{ path: 'account', values: ['999999999999'] }],
    });
    const refused = present(await tokenFor(role), { issuers: [other] });
    await expect(refused).rejects.toMatchObject({ reason: 'credential.requirement_unmet' });
  });

  it('refuses what the condition of the document does not hold for', async () => {
    const under = (source: string) => ({
      issuers: [makeIssuer({ ...own, condition: issuerCondition(source) })],
    });
    const found = await present(await tokenFor(role), under('has(claims.account)'));
    expect(found.issuer).toBe('aws');
    await expect(
      present(await tokenFor(role), under('claims.account == "999999999999"')),
    ).rejects.toMatchObject({ reason: 'credential.condition_unmet' });
  });

  it('finds the document among several, and refuses two that hold', async () => {
    const other = makeIssuer({
      ...own,
      name: 'other',
      require: [{ path: 'account', values: ['999999999999'] }],
    });
    const found = await present(await tokenFor(role), { issuers: [other, own] });
    expect(found.issuer).toBe('aws');
    const twice = present(await tokenFor(role), { issuers: [own, makeIssuer({ ...own, name: 'twin' })] });
    await expect(twice).rejects.toMatchObject({ reason: 'credential.ambiguous_issuer' });
  });
});
