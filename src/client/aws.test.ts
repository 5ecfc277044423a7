/** The signed request from each place where AWS gives credentials, taken by our own verifier at an STS that recomputes it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type AwsMetadataDouble, startAwsMetadataDouble } from '../../test/support/aws-metadata-double.ts';
import { type AwsCaller, type StsDouble, startStsDouble } from '../../test/support/sts-double.ts';
import { makeSurroundings } from '../../test/support/surroundings.ts';
import { testNowMillis } from '../../test/support/tokens.ts';
import {
  credential,
  makeIssuer,
  ownIssuer,
  ownTrustDomain,
  trusting,
  verifierOptions,
} from '../../test/support/tokens-policy.ts';
import { openKeySets } from '../credentials/jwks.ts';
import { awsCallerIdentity as serverSide } from '../credentials/platforms/aws-caller-identity/index.ts';
import { regions } from '../credentials/platforms/aws-caller-identity/regions.ts';
import { createVerifier } from '../credentials/verify.ts';
import { awsCallerIdentity } from './aws.ts';
import { findPlatform } from './find-platform.ts';

const account = '123456789012';
const role: AwsCaller = {
  accessKeyId: 'ASIAEXAMPLEEXAMPLE01',
  secretAccessKey: 'canary-role-secret',
  sessionToken: 'IQoJb3JpZ2luX2VjE+/Example/Session+Token==',
  arn: `arn:aws:sts::${account}:assumed-role/orders-api/i-0abc`,
  userId: 'AROAEXAMPLEEXAMPLE01:i-0abc',
  account,
};
const user: AwsCaller = {
  accessKeyId: 'AKIAEXAMPLEEXAMPLE02',
  secretAccessKey: 'canary-user-secret',
  arn: `arn:aws:iam::${account}:user/builder`,
  userId: 'AIDAEXAMPLEEXAMPLE02',
  account,
};

let metadata: AwsMetadataDouble;
let sts: StsDouble;
beforeAll(async () => {
  metadata = await startAwsMetadataDouble(role);
  sts = await startStsDouble('sts.eu-west-1.amazonaws.com', 'eu-west-1', [role, user]);
});
afterAll(() => Promise.all([metadata.close(), sts.close()]));
beforeEach(() => {
  metadata.role = 'orders-api';
  metadata.region = 'eu-west-1';
});

const machine = (environment: Record<string, string>, files: Record<string, string> = {}) =>
  makeSurroundings({ environment, files, fetch: globalThis.fetch }).made;
const obtain = (environment: Record<string, string>, files?: Record<string, string>, audience = ownIssuer) =>
  awsCallerIdentity.obtain(machine(environment, files), audience);

async function verified(token: string): Promise<string> {
  const keySets = openKeySets({
    fetchDocument: () => Promise.reject(new Error('nothing is to be fetched')),
    clock: { now: () => testNowMillis },
  });
  const verify = createVerifier({ ...verifierOptions, keySets, callPlatform: sts.callPlatform });
  const issuer = makeIssuer({
    name: 'aws',
    platform: serverSide,
    issuerUrl: 'https://sts.amazonaws.com',
    require: [{ path: 'account', values: [account] }],
  });
  const presented = credential(token, 'subject_token', 'aws4_request');
  return (await verify(presented, trusting(issuer), testNowMillis)).spiffeId;
}

const roleId = `spiffe://${ownTrustDomain}/aws/account/${account}/role/orders-api`;
const roleVariables = {
  AWS_REGION: 'eu-west-1',
  AWS_ACCESS_KEY_ID: role.accessKeyId,
  AWS_SECRET_ACCESS_KEY: role.secretAccessKey,
  AWS_SESSION_TOKEN: role.sessionToken ?? '',
};
const inContainer = () => ({
  AWS_REGION: 'eu-west-1',
  AWS_CONTAINER_CREDENTIALS_FULL_URI: metadata.containerUrl,
});

describe('a signed request', () => {
  test("with a role's variables, as in Lambda", async () => {
    expect((await findPlatform(machine(roleVariables), 'auto')).platform).toBe('aws-caller-identity');
    expect(await verified(await obtain(roleVariables))).toBe(roleId);
  });

  test("with a user's key, which has no session", async () => {
    const token = await obtain({
      AWS_DEFAULT_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: user.accessKeyId,
      AWS_SECRET_ACCESS_KEY: user.secretAccessKey,
    });
    expect(await verified(token)).toBe(`spiffe://${ownTrustDomain}/aws/account/${account}/user/builder`);
  });

  test("with a container's credentials, its token in a variable or a file", async () => {
    const environment = inContainer();
    expect((await findPlatform(machine(environment), 'auto')).platform).toBe('aws-caller-identity');
    const byVariable = { ...environment, AWS_CONTAINER_AUTHORIZATION_TOKEN: metadata.containerToken };
    expect(await verified(await obtain(byVariable))).toBe(roleId);
    const byFile = { ...environment, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: '/token' };
    expect(await verified(await obtain(byFile, { '/token': `${metadata.containerToken}\n` }))).toBe(roleId);
  });

  test("with a machine's metadata, which also names the region", async () => {
    const environment = { AWS_EC2_METADATA_SERVICE_ENDPOINT: `${metadata.url}/` };
    expect(await awsCallerIdentity.probe?.(machine(environment))).toBe(true);
    expect(await verified(await obtain(environment))).toBe(roleId);
  });

  test('made for another server is refused', async () => {
    const token = await obtain(roleVariables, {}, 'https://other.test');
    await expect(verified(token)).rejects.toMatchObject({ reason: 'credential.audience_mismatch' });
  });

  test('signed with a wrong key is refused', async () => {
    const token = await obtain({ ...roleVariables, AWS_SECRET_ACCESS_KEY: 'other' });
    await expect(verified(token)).rejects.toMatchObject({ reason: 'credential.signature_invalid' });
  });

  test.each([...regions])('names the host of %s as the server does', async (region, { host }) => {
    const token = await obtain({ ...roleVariables, AWS_REGION: region });
    expect(JSON.parse(decodeURIComponent(token)).url).toMatch(`https://${host}/?`);
  });

  test('is for us-east-1 where nothing names a region', async () => {
    const token = await obtain({ ...roleVariables, AWS_REGION: '', AWS_DEFAULT_REGION: '' });
    expect(decodeURIComponent(token)).toContain('https://sts.us-east-1.amazonaws.com/?');
  });
});

describe('no signed request', () => {
  test.each([
    [
      'a region that is no name',
      () => ({ ...roleVariables, AWS_REGION: 'x.evil.test/' }),
      'region is not a name',
    ],
    ['a wrong container token', inContainer, 'answered 401'],
    [
      "another machine's container endpoint without TLS",
      () => ({ AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://evil.test/' }),
      'neither this machine',
    ],
    [
      'a container token file that is not there',
      () => ({ ...inContainer(), AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: '/none' }),
      'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE holds no credential',
    ],
    [
      'metadata that is switched off',
      () => ({ AWS_EC2_METADATA_DISABLED: 'true' }),
      'AWS_EC2_METADATA_DISABLED',
    ],
  ])('from %s', async (_what, environment, message) => {
    await expect(obtain(environment())).rejects.toThrow(message);
  });

  test('on a machine without a role', async () => {
    metadata.role = undefined;
    await expect(obtain({ AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url })).rejects.toThrow('answered 404');
  });

  test("a container's token is sent as it is, with its scheme", async () => {
    const sent: unknown[] = [];
    const { made } = makeSurroundings({
      environment: { ...inContainer(), AWS_CONTAINER_AUTHORIZATION_TOKEN: 'Basic canary' },
      fetch: async (...request) => {
        sent.push(request);
        return new Response('', { status: 403 });
      },
    });
    await expect(awsCallerIdentity.obtain(made, ownIssuer)).rejects.toThrow('answered 403');
    expect(sent).toMatchObject([[metadata.containerUrl, { headers: { authorization: 'Basic canary' } }]]);
  });

  test("a relative address stays on the container's agent", async () => {
    const { made, urls } = makeSurroundings({
      environment: { AWS_REGION: 'eu-west-1', AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '@evil.test/' },
    });
    await expect(awsCallerIdentity.obtain(made, ownIssuer)).rejects.toThrow('cannot be reached');
    expect(urls.map((url) => new URL(url).host)).toEqual(['169.254.170.2']);
  });
});
