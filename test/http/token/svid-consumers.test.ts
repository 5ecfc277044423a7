/** Who reads our JWT-SVIDs: another Mintmark that fetches our bundle, and libraries with the rules of go-spiffe. */
import type { AddressInfo } from 'node:net';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openHouse, postForm, type TestHouse } from '../../support/house.ts';
import { testNowMillis, testNowSeconds } from '../../support/tokens.ts';
import { tellStory } from './story.ts';

const consumerIssuer = 'https://consumer.test';
const api = 'spiffe://mintmark.test/cluster/ns/payments/sa/api';
const type = (name: string) => `urn:ietf:params:oauth:token-type:${name}`;
const algorithms = ['ES256', 'ES384', 'RS256', 'PS256'];

const document = (kind: string, name: string, spec: object) => ({
  apiVersion: 'mintmark/v1',
  kind,
  metadata: { name },
  spec,
});

let story: Awaited<ReturnType<typeof tellStory>>;
let minter: TestHouse;
let consumer: TestHouse;
beforeAll(async () => {
  story = await tellStory();
  const formats = ['access_token', 'jwt-svid'];
  minter = await openHouse([
    ...story.documents,
    document('Resource', 'consumer', { audience: consumerIssuer, tokenFormats: formats }),
    document('Grant', 'consumer', { subjects: [{ issuer: 'cluster' }], resource: 'consumer' }),
    ...algorithms.flatMap((signingAlg) => {
      const name = signingAlg.toLowerCase();
      return [
        document('Resource', name, { audience: signingAlg, signingAlg, tokenFormats: formats }),
        document('Grant', name, { subjects: [{ issuer: 'cluster' }], resource: name }),
      ];
    }),
  ]);
  await minter.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = minter.app.server.address() as AddressInfo;
  consumer = await openHouse(
    [
      document('TrustDomain', 'mintmark.test', {
        bundle: { url: `http://127.0.0.1:${port}/spiffe/bundle.json`, profile: 'https_web' },
      }),
      document('Resource', 'beyond', { audience: 'beyond' }),
      document('Grant', 'beyond', { subjects: [{ spiffeId: api }], resource: 'beyond' }),
    ],
    { MINTMARK_ISSUER: consumerIssuer, MINTMARK_TRUST_DOMAIN: 'consumer.test' },
  );
});
afterAll(async () => {
  await consumer.close();
  await minter.close();
});

async function mint(requested: 'jwt' | 'access_token', audience = consumerIssuer): Promise<string> {
  const response = await postForm(minter.app, {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: await story.platformToken(),
    subject_token_type: type('jwt'),
    requested_token_type: type(requested),
    audience,
  });
  expect(response.statusCode).toBe(200);
  return response.json().access_token;
}
const present = (token: string) =>
  postForm(consumer.app, {
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
    client_assertion: token,
    audience: 'beyond',
  });
const reasonOf = async (response: Awaited<ReturnType<typeof present>>) =>
  (await consumer.eventOf(response.json().request_id)).reason;

describe('another Mintmark', () => {
  it('takes a JWT-SVID of ours by our bundle, and tells our workload by the same name', async () => {
    const response = await present(await mint('jwt'));
    expect(response.statusCode).toBe(200);
    expect(decodeJwt(response.json().access_token)).toMatchObject({ iss: consumerIssuer, sub: api });
  });

  it('refuses an access token of ours in its place', async () => {
    const response = await present(await mint('access_token'));
    expect(response.json().error).toBe('invalid_client');
    expect(await reasonOf(response)).toBe('credential.type_refused');
  });

  it('refuses one for somebody else, and one that is over', async () => {
    const elsewhere = await present(await mint('jwt', 'ES256'));
    expect(await reasonOf(elsewhere)).toBe('credential.audience_mismatch');
    const svid = await mint('jwt');
    consumer.clock.set(testNowMillis + 700_000);
    const late = await present(svid);
    consumer.clock.set(testNowMillis);
    expect(await reasonOf(late)).toBe('credential.expired');
  });
});

describe('each JWT-SVID', () => {
  const allowed = new Set(['alg', 'kid', 'typ']);
  const rules: readonly [string, (svid: string, bundle: { keys: Record<string, unknown>[] }) => boolean][] = [
    ['is three parts of base64url', (svid) => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(svid)],
    [
      'has no header but alg, kid and typ',
      (svid) => Object.keys(decodeProtectedHeader(svid)).every((name) => allowed.has(name)),
    ],
    [
      'has an algorithm that SPIFFE allows',
      (svid) => /^(RS|ES|PS)(256|384|512)$/.test(String(decodeProtectedHeader(svid).alg)),
    ],
    [
      'has the type JWT, JOSE or none',
      (svid) => [undefined, 'JWT', 'JOSE'].includes(decodeProtectedHeader(svid).typ),
    ],
    [
      'names its key, which stands in the bundle once, for JWT-SVIDs',
      (svid, { keys }) => {
        const { kid } = decodeProtectedHeader(svid);
        const named = keys.filter((key) => key.kid === kid);
        return kid !== undefined && named.length === 1 && named[0]?.use === 'jwt-svid';
      },
    ],
    ['has a SPIFFE ID as its subject', (svid) => decodeJwt(svid).sub === api],
    ['has one audience', (svid) => [decodeJwt(svid).aud].flat().length === 1],
    [
      'ends soon, by a whole number',
      (svid) => {
        const { exp = 0, iat } = decodeJwt(svid);
        return Number.isInteger(exp) && iat === testNowSeconds && exp - testNowSeconds <= 600;
      },
    ],
    [
      'says nothing that an access token or ID token says',
      (svid) => {
        const claims = decodeJwt(svid);
        return ['iss', 'client_id', 'scope', 'cnf', 'nonce', 'azp'].every(
          (name) => !Object.hasOwn(claims, name),
        );
      },
    ],
  ];

  it.each(rules)('%s', async (_rule, holds) => {
    const bundle = (await minter.app.inject('/spiffe/bundle.json')).json();
    for (const algorithm of algorithms) {
      const svid = await mint('jwt', algorithm);
      expect(decodeProtectedHeader(svid).alg).toBe(algorithm);
      expect(holds(svid, bundle)).toBe(true);
    }
  });

  it('would break these rules if it were an access token', async () => {
    const bundle = (await minter.app.inject('/spiffe/bundle.json')).json();
    const token = await mint('access_token', 'ES256');
    const broken = rules.filter(([, holds]) => !holds(token, bundle)).map(([rule]) => rule);
    expect(broken).toEqual([
      'has the type JWT, JOSE or none',
      'names its key, which stands in the bundle once, for JWT-SVIDs',
      'says nothing that an access token or ID token says',
    ]);
  });
});
