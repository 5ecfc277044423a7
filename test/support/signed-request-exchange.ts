/** The exchange around an STS double: the real verifier, policy, stores and signer, with one AWS account let in. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPglite, type SqlStores } from '../../src/adapters/postgres/open.ts';
import { openSoftwareKeys } from '../../src/adapters/software-keys/open.ts';
import { createExchange } from '../../src/core/exchange.ts';
import { compilePolicy } from '../../src/core/policy/compile.ts';
import { sourcesFromStored } from '../../src/core/policy/source.ts';
import type { CallPlatform, Clock } from '../../src/core/ports.ts';
import { Secret } from '../../src/core/secret.ts';
import { signDraft } from '../../src/core/token.ts';
import { openKeySets } from '../../src/credentials/jwks.ts';
import { platforms } from '../../src/credentials/platforms/index.ts';
import { createVerifier } from '../../src/credentials/verify.ts';
import { readTokenForm } from '../../src/http/token-form.ts';
import { testKeyLife } from './key-life.ts';

const issuer = 'https://sts.test';

export interface SignedRequestExchange {
  /** Our issuer identifier. */
  readonly issuer: string;
  readonly stores: SqlStores;
  /** Exchanges a `subject_token` for a token on alpha. */
  attempt(subjectToken: string, requestId: string): ReturnType<ReturnType<typeof createExchange>>;
  close(): Promise<void>;
}

export async function openSignedRequestExchange(options: {
  readonly account: string;
  readonly clock: Clock;
  readonly callPlatform: CallPlatform;
}): Promise<SignedRequestExchange> {
  const { account, clock, callPlatform } = options;
  const folder = mkdtempSync(join(tmpdir(), 'mintmark-signed-'));
  const stores = await openPglite({ dataDir: join(folder, 'pglite'), clock });
  await stores.migrate();
  const trustDomain = 'mintmark.test';
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
  const verify = createVerifier({
    keySets,
    issuer,
    trustDomain,
    platforms,
    callPlatform,
    readTokenFile: () => Promise.reject(new Error('no file to read')),
  });
  const exchange = createExchange({
    issuer,
    clock,
    policy: () => policy,
    verify,
    verifySubject: async (...presented) => ({ identity: await verify(...presented) }),
    revocations: { refusesNew: () => undefined, epoch: () => 0 },
    verifyDpop: () => Promise.reject(new Error('no proof to verify')),
    replayGuard: stores.replayGuard,
    svidKeyRing: {
      signer: () => {
        throw new Error('no JWT-SVIDs here');
      },
      publicKeys: () => [],
    },
    keyRing: await openSoftwareKeys({
      keyStore: stores.keys,
      keyEncryptionKey,
      clock,
      life: testKeyLife,
      algorithms: () => ['ES256'],
    }),
    mintOrReuse: signDraft,
    audit: stores.audit,
    refusalCap: async () => true,
  });
  return {
    issuer,
    stores,
    attempt: (subjectToken, requestId) =>
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
      }),
    close: async () => {
      await stores.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
