/** A signed AWS request from form to token, and only once: the real verifier, store and signer around an STS double. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPglite, type SqlStores } from '../../../src/adapters/postgres/open.ts';
import { openSoftwareKeys } from '../../../src/adapters/software-keys/open.ts';
import { createExchange, type Exchange } from '../../../src/core/exchange.ts';
import { compilePolicy } from '../../../src/core/policy/compile.ts';
import { sourcesFromStored } from '../../../src/core/policy/source.ts';
import { Secret } from '../../../src/core/secret.ts';
import { openKeySets } from '../../../src/credentials/jwks.ts';
import { platforms } from '../../../src/credentials/platforms/index.ts';
import { createVerifier } from '../../../src/credentials/verify.ts';
import { readTokenForm } from '../../../src/http/token-form.ts';
import { testKeyLife } from '../../support/key-life.ts';
import {
  type AwsCaller,
  presign,
  type StsDouble,
  startStsDouble,
  subjectTokenOf,
  urlOf,
} from '../../support/sts-double.ts';
import { testNowMillis, testNowSeconds } from '../../support/tokens.ts';

const issuer = 'https://sts.test';
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
const documents = [
  [
    'Issuer',
    'aws',
    { platform: 'aws-caller-identity', issuer: 'https://sts.amazonaws.com', require: { account } },
  ],
  ['Resource', 'alpha', { audience: 'alpha', scopes: ['read'], tokenLifetime: '1h' }],
  [
    'Grant',
    'aws-alpha',
    { subjects: [{ issuer: 'aws' }], acknowledgeWide: true, resource: 'alpha', scopes: ['read'] },
  ],
] as const;

const folder = mkdtempSync(join(tmpdir(), 'mintmark-signed-'));
const clock = { now: () => testNowMillis };
let sts: StsDouble;
let stores: SqlStores;
let exchange: Exchange;

beforeAll(async () => {
  sts = await startStsDouble(host, 'eu-west-1', [caller]);
  stores = await openPglite({ dataDir: join(folder, 'pglite'), clock });
  await stores.migrate();
  const trustDomain = 'mintmark.test';
  const policy = compilePolicy(
    sourcesFromStored(
      documents.map(([kind, name, spec]) => ({
        kind,
        name,
        managedBy: 'rest',
        body: JSON.parse(JSON.stringify({ apiVersion: 'mintmark/v1', kind, metadata: { name }, spec })),
      })),
    ),
    { issuer, trustDomain, tokenEndpoint: `${issuer}/oauth/token`, platforms },
    1,
  );
  const keySets = openKeySets({ fetchDocument: () => Promise.reject(new Error('nothing to fetch')), clock });
  const keyEncryptionKey = new Secret(crypto.getRandomValues(new Uint8Array(32)));
  exchange = createExchange({
    issuer,
    clock,
    policy: () => policy,
    verify: createVerifier({
      keySets,
      issuer,
      trustDomain,
      platforms,
      callPlatform: sts.callPlatform,
      readTokenFile: () => Promise.reject(new Error('no file to read')),
    }),
    replayGuard: stores.replayGuard,
    keyRing: await openSoftwareKeys({
      keyStore: stores.keys,
      keyEncryptionKey,
      clock,
      life: testKeyLife,
      algorithms: () => ['ES256'],
    }),
    audit: stores.audit,
    refusalCap: async () => true,
  });
});
afterAll(async () => {
  await stores.close();
  await sts.close();
  rmSync(folder, { recursive: true, force: true });
});

const attemptWith = (subjectToken: string, requestId: string) =>
  exchange({
    requestId,
    remoteAddress: '192.0.2.1',
    read: () =>
      readTokenForm(
        new URLSearchParams({
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token_type: 'urn:ietf:params:aws:token-type:aws4_request',
          subject_token: subjectToken,
          audience: 'alpha',
          scope: 'read',
        }),
        undefined,
      ),
  });

describe('a signed AWS request', () => {
  it('gives one token that ends with the signature, and is refused when it comes again', async () => {
    const signed = await presign(caller, {
      host,
      region: 'eu-west-1',
      audience: issuer,
      atMillis: testNowMillis - 60_000,
    });
    const subjectToken = subjectTokenOf(urlOf(signed), { host, 'x-mintmark-audience': issuer });
    const firstId = crypto.randomUUID();
    const token = await attemptWith(subjectToken, firstId);
    expect(decodeJwt(token.accessToken.reveal())).toMatchObject({
      sub: `spiffe://mintmark.test/aws/account/${account}/role/orders-api`,
      aud: 'alpha',
      exp: testNowSeconds - 60 + 900,
    });

    const event = JSON.stringify(await stores.audit.find(firstId));
    expect(event).toContain(account);
    expect(event).not.toContain('Session+Token');
    expect(event).not.toContain(String(signed.query?.['X-Amz-Signature']));

    const again = attemptWith(subjectToken, crypto.randomUUID());
    await expect(again).rejects.toMatchObject({ reason: 'credential.replayed', code: 'invalid_request' });
  });
});
