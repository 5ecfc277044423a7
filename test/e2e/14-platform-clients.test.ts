/** The platforms' own clients, each against a double of its platform's endpoint; what they get is exchanged at a real server. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { getIDToken } from '@actions/core';
import { GetWebIdentityTokenCommand, STSClient } from '@aws-sdk/client-sts';
import { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { getVercelOidcToken } from '@vercel/oidc';
import { Compute } from 'google-auth-library';
import { decodeJwt } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { awsCallerIdentity as ownClient } from '../../src/client/aws.ts';
import { type ApiServerDouble, startApiServerDouble } from '../support/api-server-double.ts';
import { type AwsMetadataDouble, startAwsMetadataDouble } from '../support/aws-metadata-double.ts';
import {
  type PlatformEndpointsDouble,
  requestToken,
  startPlatformEndpoints,
} from '../support/platform-endpoints-double.ts';
import {
  kubernetesIssuer,
  makePlatformIssuers,
  nowSeconds,
  type PlatformIssuers,
  vectorsOf,
} from '../support/platform-issuers.ts';
import { realClients } from '../support/real-clients.ts';
import { type RunningServer, startServer } from '../support/server.ts';
import { openSignedRequestExchange, type SignedRequestExchange } from '../support/signed-request-exchange.ts';
import { reasonOf } from '../support/story.ts';
import {
  type AwsCaller,
  presign,
  type StsDouble,
  startStsDouble,
  subjectTokenOf,
  urlOf,
} from '../support/sts-double.ts';
import { makeSurroundings } from '../support/surroundings.ts';

const azureAudience = 'api://sts-example';
const tested = new Set<string>();

let issuers: PlatformIssuers;
let endpoints: PlatformEndpointsDouble;
let apiServer: ApiServerDouble;
let server: RunningServer;
/** What the platform says of another workload than the vectors' own. */
let change: object;

beforeAll(async () => {
  issuers = await makePlatformIssuers();
  apiServer = await startApiServerDouble(kubernetesIssuer, nowSeconds);
  endpoints = await startPlatformEndpoints((platform, audience) =>
    issuers.tokenFor(platform, audience, change),
  );
  server = await startServer({ policy: (url) => issuers.policyFor(url, apiServer.key) });
});
afterAll(async () => {
  await server?.remove();
  await endpoints?.close();
  await apiServer?.close();
});
beforeEach(() => {
  change = {};
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

async function exchanged(credential: string) {
  const response = await fetch(`${server.url}/api/v1/token`, {
    method: 'POST',
    headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
    body: JSON.stringify({ audience: 'alpha', scope: 'read' }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function expectToken(credential: string, path: string) {
  const { status, body } = await exchanged(credential);
  expect({ status, body }).toMatchObject({ status: 200 });
  expect(decodeJwt(String(body.access_token))).toMatchObject({
    aud: 'alpha',
    sub: `spiffe://mintmark.test${path}`,
    scope: 'read',
  });
}

async function expectRefusal(credential: string, reason: string) {
  const { status, body } = await exchanged(credential);
  expect({ status, body }).toMatchObject({ status: 401, body: { error: 'invalid_token' } });
  expect(await reasonOf(server, body.request_id)).toBe(reason);
}

const azureProgram = new URL('../support/managed-identity-token.ts', import.meta.url).pathname;

async function managedIdentityToken(): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [azureProgram, azureAudience]);
  return stdout;
}

interface RealClient {
  readonly platform: keyof typeof realClients & keyof typeof vectorsOf;
  readonly what: string;
  readonly environment: () => Record<string, string>;
  readonly obtain: () => Promise<string>;
  /** What the double was asked for. */
  readonly asked: string;
  /** The name of the vector for another workload, which the document does not let in. */
  readonly other: string;
}

const clients: readonly RealClient[] = [
  {
    platform: 'github-actions',
    what: 'getIDToken',
    environment: () => ({
      ACTIONS_ID_TOKEN_REQUEST_URL: `${endpoints.url}/github?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: requestToken,
    }),
    obtain: () => getIDToken(server.url),
    asked: 'GET /github',
    other: 'another organisation',
  },
  {
    platform: 'azure',
    what: 'ManagedIdentityCredential in App Service',
    environment: () => ({ IDENTITY_ENDPOINT: `${endpoints.url}/app-service`, IDENTITY_HEADER: requestToken }),
    obtain: managedIdentityToken,
    asked: 'GET /app-service',
    other: 'a tid of another tenant',
  },
  {
    platform: 'azure',
    what: 'ManagedIdentityCredential on a virtual machine',
    environment: () => ({ AZURE_POD_IDENTITY_AUTHORITY_HOST: endpoints.url }),
    obtain: managedIdentityToken,
    asked: 'GET /metadata/identity/oauth2/token',
    other: 'a tid of another tenant',
  },
  {
    platform: 'google',
    what: 'Compute.fetchIdToken',
    environment: () => ({ GCE_METADATA_HOST: new URL(endpoints.url).host }),
    obtain: () => new Compute().fetchIdToken(server.url),
    asked: 'GET /computeMetadata/v1/instance/service-accounts/default/identity',
    other: 'another service account',
  },
  {
    platform: 'aws-web-identity',
    what: 'GetWebIdentityTokenCommand',
    environment: () => ({
      AWS_ACCESS_KEY_ID: 'AKIAEXAMPLEEXAMPLE02',
      AWS_SECRET_ACCESS_KEY: 'canary-secret',
    }),
    obtain: async () => {
      const sts = new STSClient({ endpoint: endpoints.url, region: 'eu-west-1' });
      const { WebIdentityToken: token = '' } = await sts.send(
        new GetWebIdentityTokenCommand({
          Audience: [server.url],
          SigningAlgorithm: 'ES384',
          DurationSeconds: 300,
        }),
      );
      return token;
    },
    asked: 'POST /',
    other: 'a sub of another account than its claims',
  },
  {
    platform: 'vercel',
    what: 'getVercelOidcToken for our audience',
    environment: () => ({}),
    obtain: async () => {
      vi.stubEnv('VERCEL_OIDC_TOKEN', await issuers.tokenFor('vercel', 'https://vercel.com/acme', {}));
      const realFetch = globalThis.fetch;
      // The library's one address is fixed; the request itself is its own.
      vi.stubGlobal('fetch', (url: string, init: RequestInit) =>
        realFetch(url.replace('https://oidc.vercel.com/', `${endpoints.url}/`), init),
      );
      return getVercelOidcToken({ audience: server.url, skipCache: true });
    },
    asked: 'POST /~token',
    other: 'another team',
  },
];

describe.each(clients)('$platform: $what', ({ platform, environment, obtain, asked, other }) => {
  const vectors = vectorsOf[platform];
  const refused = vectors?.refused.find(({ name }) => name === other);
  const stub = () => {
    for (const [name, value] of Object.entries(environment())) vi.stubEnv(name, value);
  };

  test('gets a token that is exchanged', async () => {
    stub();
    const before = endpoints.asked.length;
    const credential = await obtain();
    expect(endpoints.asked.slice(before)).toContain(asked);
    const path = vectors?.accepted[0]?.path.replace('/vector/', `/${platform}/`) ?? '';
    await expectToken(credential, path);
    tested.add(platform);
  });

  test(`is refused where it says ${other}`, async () => {
    expect(refused).toBeDefined();
    stub();
    change = refused?.change ?? {};
    await expectRefusal(await obtain(), refused?.reason ?? '');
  });
});

describe('kubernetes: TokenRequest', () => {
  async function requested(namespace: string, audience: string) {
    const config = new KubeConfig();
    config.loadFromOptions({
      clusters: [
        {
          name: 'own',
          server: apiServer.url,
          caData: Buffer.from(apiServer.caCertificate).toString('base64'),
        },
      ],
      users: [{ name: 'requester', token: apiServer.reviewerToken }],
      contexts: [{ name: 'own', cluster: 'own', user: 'requester' }],
      currentContext: 'own',
    });
    const { status } = await config.makeApiClient(CoreV1Api).createNamespacedServiceAccountToken({
      namespace,
      name: 'api',
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { audiences: [audience], expirationSeconds: 600 },
      },
    });
    return status?.token ?? '';
  }

  test('gets a token that is exchanged', async () => {
    await expectToken(await requested('payments', server.url), '/kubernetes/ns/payments/sa/api');
    tested.add('kubernetes');
  });

  test('is refused in another namespace, and for another audience', async () => {
    await expectRefusal(await requested('staging', server.url), 'credential.requirement_unmet');
    await expectRefusal(await requested('payments', 'https://other.test'), 'credential.audience_mismatch');
  });
});

describe('aws-caller-identity: fromNodeProviderChain', () => {
  const region = 'eu-west-1';
  const host = `sts.${region}.amazonaws.com`;
  const account = '123456789012';
  const caller: AwsCaller = {
    accessKeyId: 'ASIAEXAMPLEEXAMPLE01',
    secretAccessKey: 'canary-role-secret',
    sessionToken: 'IQoJb3JpZ2luX2VjE+/Example/Session+Token==',
    arn: `arn:aws:sts::${account}:assumed-role/orders-api/i-0abc`,
    userId: 'AROAEXAMPLEEXAMPLE01:i-0abc',
    account,
  };
  let sts: StsDouble;
  let metadata: AwsMetadataDouble;
  let exchange: SignedRequestExchange;

  beforeAll(async () => {
    sts = await startStsDouble(host, region, [caller]);
    metadata = await startAwsMetadataDouble(caller);
    const clock = { now: () => Date.now() };
    exchange = await openSignedRequestExchange({ account, clock, callPlatform: sts.callPlatform });
  });
  afterAll(async () => {
    await exchange?.close();
    await metadata?.close();
    await sts?.close();
  });

  /** What the chain finds, used to sign a time of its own: one time and one key make one signature. */
  async function signed(audience: string, secondsAgo: number) {
    const found = await fromNodeProviderChain()();
    const atMillis = Date.now() - secondsAgo * 1000;
    const { accessKeyId, secretAccessKey, sessionToken } = found;
    const signer = { ...caller, accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
    const request = await presign(signer, { host, region, audience, atMillis });
    return subjectTokenOf(urlOf(request), { host, 'x-mintmark-audience': audience });
  }

  async function expectRole(subjectToken: string) {
    const { accessToken } = await exchange.attempt(subjectToken, crypto.randomUUID());
    expect(decodeJwt(accessToken.reveal())).toMatchObject({
      aud: 'alpha',
      sub: `spiffe://mintmark.test/aws/account/${account}/role/orders-api`,
    });
  }

  test.each([
    [
      "a container's endpoint",
      () => ({
        AWS_CONTAINER_CREDENTIALS_FULL_URI: metadata.containerUrl,
        AWS_CONTAINER_AUTHORIZATION_TOKEN: metadata.containerToken,
      }),
      30,
    ],
    ["EC2's metadata", () => ({ AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url }), 60],
  ])(
    'signs with what %s gives, and the request is exchanged, as is one of our own client',
    async (_what, environment, secondsAgo) => {
      // Whoever runs this may have credentials of their own, which would come first.
      for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE']) {
        vi.stubEnv(name, undefined);
      }
      for (const name of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE']) vi.stubEnv(name, '/dev/null');
      for (const [name, value] of Object.entries(environment())) vi.stubEnv(name, String(value));
      await expectRole(await signed(exchange.issuer, secondsAgo));
      const { made } = makeSurroundings({
        environment: { ...environment(), AWS_REGION: region },
        fetch: globalThis.fetch,
        nowMillis: () => Date.now() - (secondsAgo + 10) * 1000,
      });
      await expectRole(await ownClient.obtain(made, exchange.issuer));
      const other = exchange.attempt(await signed('https://other.test', secondsAgo), crypto.randomUUID());
      await expect(other).rejects.toMatchObject({ reason: 'credential.audience_mismatch' });
      tested.add('aws-caller-identity');
    },
  );
});

test('the list of real clients names those that passed here, and no other', () => {
  expect([...tested].sort()).toEqual(Object.keys(realClients).sort());
});
