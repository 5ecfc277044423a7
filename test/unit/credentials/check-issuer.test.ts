/** A check of a sample token: its verdict is the exchange's for every platform's vectors, and it names all that fails. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { createCheckIssuer } from '../../../src/credentials/check-issuer.ts';
import { openKeySets } from '../../../src/credentials/jwks.ts';
import { platforms } from '../../../src/credentials/platforms/index.ts';
import { createVerifier } from '../../../src/credentials/verify.ts';
import {
  jwksOf,
  kubernetesClaims,
  makeKey,
  signToken,
  testNowMillis,
  testNowSeconds,
} from '../../support/tokens.ts';
import {
  credential,
  issuerCondition,
  makeIssuer,
  ownIssuer,
  trusting,
  verifierOptions,
} from '../../support/tokens-policy.ts';
import type { Vectors } from '../../support/tokens-vectors.ts';

const keySets = openKeySets({
  fetchDocument: () => Promise.reject(new Error('nothing is to be fetched')),
  clock: { now: () => testNowMillis },
});
const context = { ...verifierOptions, keySets };
const verify = createVerifier(context);
const checkIssuer = createCheckIssuer(verify, context);

const inVectors = platforms.filter(({ proof }) => proof === undefined);

describe('verdict', () => {
  it.each(inVectors)('is that of the exchange for the vectors of $name', async (platform) => {
    const url = new URL(`../../../src/credentials/platforms/${platform.name}/vectors.json`, import.meta.url);
    const vectors: Vectors = JSON.parse(readFileSync(url, 'utf8'));
    const key = await makeKey('vector-key', platform.algorithms[0]);
    const issuer = makeIssuer({
      name: 'vector',
      platform,
      issuerUrl: vectors.issuer,
      keys: { jwks: jwksOf(key) },
      ...(vectors.audiences === undefined ? {} : { audiences: vectors.audiences }),
      require: Object.entries(vectors.require ?? {}).map(([path, value]) => ({ path, values: [value] })),
    });
    const policy = trusting(issuer);
    for (const { change } of [...vectors.accepted, ...vectors.refused]) {
      const claims = Object.fromEntries(
        Object.entries({ iss: vectors.issuer, ...vectors.claims, ...change }).filter(
          ([, value]) => value !== null,
        ),
      );
      const token = await signToken(key, claims, { ...vectors.header, typ: vectors.header.typ ?? undefined });
      const exchanged = await verify(credential(token), policy, testNowMillis).then(
        ({ spiffeId }) => ({ verdict: 'accepted', spiffeId }),
        ({ reason }) => ({ verdict: 'refused', reason }),
      );
      const checked = await checkIssuer(new Secret(token), issuer, policy, testNowMillis);
      expect(checked).toMatchObject(exchanged);
      const hasFailedStep = checked.steps.some(({ reason }) => reason !== undefined);
      expect(hasFailedStep, JSON.stringify(checked)).toBe(exchanged.verdict === 'refused');
    }
    expect(vectors.accepted.length).toBeGreaterThan(0);
  });
});

describe('steps', async () => {
  const key = await makeKey('k1');
  const kubernetes = platforms.find(({ name }) => name === 'kubernetes') ?? expect.fail('no such platform');
  const cluster = makeIssuer({
    name: 'prod',
    platform: kubernetes,
    issuerUrl: 'https://cluster.example',
    keys: { jwks: jwksOf(key) },
    require: [{ path: 'kubernetes.io.namespace', values: ['payments'] }],
    maxTokenAgeSeconds: 60,
  });
  const check = (token: string, ...others: ReturnType<typeof makeIssuer>[]) =>
    checkIssuer(new Secret(token), cluster, trusting(cluster, ...others), testNowMillis);
  const failuresOf = async (token: string) =>
    Object.fromEntries(
      (await check(token)).steps.flatMap(({ name, reason, detail }) =>
        reason ? [[name, [reason, detail]]] : [],
      ),
    );

  it('all hold for a genuine token, and the SPIFFE ID is named', async () => {
    const token = await signToken(key, kubernetesClaims('https://cluster.example', ownIssuer));
    const result = await check(token);
    expect(result).toMatchObject({
      verdict: 'accepted',
      spiffeId: 'spiffe://mint.example/prod/ns/payments/sa/api',
      alsoAcceptedBy: [],
    });
    expect(result.steps.filter(({ reason }) => reason !== undefined)).toEqual([]);
  });

  it('name every failure at once: issuer, key, audience, times, requirement', async () => {
    const stranger = await makeKey('k2');
    const token = await signToken(stranger, {
      ...kubernetesClaims('https://other.example', 'https://else.example'),
      exp: testNowSeconds - 340,
      nbf: testNowSeconds + 42,
      iat: testNowSeconds - 400,
      'kubernetes.io': { namespace: 'dev', serviceaccount: { name: 'api' } },
    });
    expect(await failuresOf(token)).toMatchObject({
      iss: ['credential.unknown_issuer', expect.stringContaining('https://cluster.example')],
      signature: ['credential.key_unknown', 'kid: published "k1", actual "k2"'],
      aud: ['credential.audience_mismatch', expect.stringContaining('https://else.example')],
      exp: ['credential.expired', 'exp is 340 s ago'],
      nbf: ['credential.not_yet_valid', expect.stringMatching(/^nbf is 42 s ahead.*clock.*differ$/)],
      iat: ['credential.too_old', 'age: expected at most 60 s, actual 400 s'],
      'require kubernetes.io.namespace': [
        'credential.requirement_unmet',
        expect.stringMatching(/"payments".*"dev"/),
      ],
    });
  });

  it('say what is no JWT, and which claim is no path segment', async () => {
    expect(await check('not-a-token')).toMatchObject({
      verdict: 'refused',
      steps: [{ name: 'jwt', reason: 'credential.malformed' }],
    });
    const token = await signToken(
      key,
      kubernetesClaims('https://cluster.example', ownIssuer, {
        'kubernetes.io': { namespace: 'payments', serviceaccount: { name: 'a/b' } },
      }),
    );
    expect(await failuresOf(token)).toHaveProperty('subject.0', 'credential.subject_unmappable');
  });

  it('say that the condition does not hold, and name no document whose condition does not', async () => {
    const token = await signToken(key, kubernetesClaims('https://cluster.example', ownIssuer));
    const condition = issuerCondition('claims["kubernetes.io"].namespace == "orders"');
    const strict = makeIssuer({ ...cluster, name: 'strict', condition });
    expect(await check(token, strict)).toMatchObject({ verdict: 'accepted', alsoAcceptedBy: [] });
    const checked = await checkIssuer(new Secret(token), strict, trusting(strict), testNowMillis);
    expect(checked).toMatchObject({ verdict: 'refused', reason: 'credential.condition_unmet' });
    expect(checked.steps).toContainEqual({
      name: 'condition',
      reason: 'credential.condition_unmet',
      detail: 'condition claims["kubernetes.io"].namespace == "orders": false',
    });
  });

  it('name another document that accepts the token too', async () => {
    const token = await signToken(key, kubernetesClaims('https://cluster.example', ownIssuer));
    const twin = makeIssuer({ ...cluster, name: 'twin' });
    expect(await check(token, twin)).toMatchObject({
      verdict: 'refused',
      reason: 'credential.ambiguous_issuer',
      alsoAcceptedBy: ['twin'],
    });
  });
});

it('leaves a proof that is accepted once to the exchange', async () => {
  const platform = platforms.find(({ proof }) => proof !== undefined) ?? expect.fail('no such platform');
  const issuer = makeIssuer({ name: 'aws', platform });
  const result = await checkIssuer(new Secret('anything'), issuer, trusting(issuer), testNowMillis);
  expect(result).toMatchObject({
    verdict: 'unchecked',
    steps: [],
    detail: expect.stringContaining('only an exchange'),
  });
});
