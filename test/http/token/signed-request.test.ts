/** A signed AWS request from form to token, and only once: the real verifier, store and signer around an STS double. */
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  openSignedRequestExchange,
  type SignedRequestExchange,
} from '../../support/signed-request-exchange.ts';
import {
  type AwsCaller,
  presign,
  type StsDouble,
  startStsDouble,
  subjectTokenOf,
  urlOf,
} from '../../support/sts-double.ts';
import { testNowMillis, testNowSeconds } from '../../support/tokens.ts';

const host = 'sts.eu-west-1.amazonaws.com';
const account = '123456789012';
const caller: AwsCaller = {
  accessKeyId: 'ASIAEXAMPLEEXAMPLE01',
  secretAccessKey: 'role-secret',
  sessionToken: 'Example/Session+Token==',
  arn: `arn:aws:sts::${account}:assumed-role/orders-api/session`,
  userId: 'AROAEXAMPLEEXAMPLE01:session',
  account,
};

let sts: StsDouble;
let exchange: SignedRequestExchange;

beforeAll(async () => {
  sts = await startStsDouble(host, 'eu-west-1', [caller]);
  const clock = { now: () => testNowMillis };
  exchange = await openSignedRequestExchange({ account, clock, callPlatform: sts.callPlatform });
});
afterAll(async () => {
  await exchange.close();
  await sts.close();
});

describe('a signed AWS request', () => {
  it('gives one token that ends with the signature, and is refused when it comes again', async () => {
    const { issuer } = exchange;
    const signed = await presign(caller, {
      host,
      region: 'eu-west-1',
      audience: issuer,
      atMillis: testNowMillis - 60_000,
    });
    const subjectToken = subjectTokenOf(urlOf(signed), { host, 'x-mintmark-audience': issuer });
    const firstId = crypto.randomUUID();
    const token = await exchange.attempt(subjectToken, firstId);
    expect(decodeJwt(token.accessToken.reveal())).toMatchObject({
      sub: `spiffe://mintmark.test/aws/account/${account}/role/orders-api`,
      aud: 'alpha',
      exp: testNowSeconds - 60 + 900,
    });

    const event = JSON.stringify(await exchange.stores.audit.find(firstId));
    expect(event).toContain(account);
    expect(event).not.toContain('Session+Token');
    expect(event).not.toContain(String(signed.query?.['X-Amz-Signature']));

    const again = exchange.attempt(subjectToken, crypto.randomUUID());
    await expect(again).rejects.toMatchObject({ reason: 'credential.replayed', code: 'invalid_request' });
  });
});
