/** An instance identity document over HTTP: one token, and no second. */
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { newAddress, openHouse, type TestHouse } from '../../support/house.ts';
import {
  instanceClaims,
  makeRegionSigner,
  pendingAt,
  signDocument,
} from '../../support/instance-documents.ts';
import { testNowMillis, testNowSeconds } from '../../support/tokens.ts';

const signer = makeRegionSigner();
const document = (kind: string, name: string, spec: object) => ({
  apiVersion: 'mintmark/v1',
  kind,
  metadata: { name },
  spec,
});
let house: TestHouse;
beforeAll(async () => {
  house = await openHouse([
    document('Issuer', 'ec2', {
      platform: 'aws-instance-identity',
      issuer: 'https://ec2.amazonaws.com',
      acknowledgeReplayable: true,
      require: { accountId: instanceClaims.accountId },
      keys: { regionCertificates: { 'us-west-2': signer.certificate } },
    }),
    document('Resource', 'alpha', { audience: 'alpha', scopes: ['read'], tokenLifetime: '1h' }),
    document('Grant', 'ec2-alpha', {
      subjects: [{ issuer: 'ec2' }],
      acknowledgeWide: true,
      resource: 'alpha',
      scopes: ['read'],
    }),
  ]);
});
afterAll(() => house.close());

const post = (claims: object) =>
  house.app.inject({
    method: 'POST',
    url: '/oauth/token',
    remoteAddress: newAddress(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token_type: 'urn:mintmark:token-type:aws-instance-identity',
      subject_token: signDocument({ ...instanceClaims, ...claims }, [signer]).toString('base64'),
      audience: 'alpha',
      scope: 'read',
    }).toString(),
  });

it('gives an instance one token, and refuses each further document of it and an old one', async () => {
  const response = await post({});
  expect(response.statusCode).toBe(200);
  expect(decodeJwt(response.json().access_token)).toMatchObject({
    sub: 'spiffe://mintmark.test/ec2/account/123456789012/region/us-west-2/instance/i-0123456789abcdef0',
    exp: testNowSeconds + 3600,
  });
  for (const [reason, claims] of [
    ['credential.replayed', {}],
    ['credential.replayed', { pendingTime: pendingAt(testNowMillis - 1000) }],
    ['credential.too_old', { instanceId: 'i-01234567', pendingTime: pendingAt(testNowMillis - 301_000) }],
  ] as const) {
    const refused = await post(claims);
    expect(refused.json()).toMatchObject({ error: 'invalid_request' });
    expect(await house.eventOf(refused.json().request_id)).toMatchObject({ reason });
  }
});
