/** Where a workload on AWS finds its role's credentials: variables, the container's endpoint, the machine's metadata. */
import { ask, linkLocal, memberOf, probe } from './ask.ts';
import { NoCredential, oneToken, type Surroundings } from './platform.ts';
import type { AwsCredentials } from './sigv4.ts';

/** The addresses of ECS's and EKS Pod Identity's agents; anything else must be this machine or use TLS. */
const containerHosts = [
  '169.254.170.2',
  '169.254.170.23',
  '[fd00:ec2::23]',
  'localhost',
  '127.0.0.1',
  '[::1]',
];

/** Whether variables promise credentials. */
export function namesCredentials({ environment }: Surroundings): boolean {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = environment;
  return Boolean(AWS_ACCESS_KEY_ID && AWS_SECRET_ACCESS_KEY) || containerUrl(environment) !== undefined;
}

/** The first of the three that there is. Throws `NoCredential`. */
export async function awsCredentials(surroundings: Surroundings): Promise<AwsCredentials> {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = surroundings.environment;
  if (AWS_ACCESS_KEY_ID && AWS_SECRET_ACCESS_KEY) {
    return {
      accessKeyId: AWS_ACCESS_KEY_ID,
      secretAccessKey: AWS_SECRET_ACCESS_KEY,
      ...(AWS_SESSION_TOKEN ? { sessionToken: AWS_SESSION_TOKEN } : {}),
    };
  }
  const url = containerUrl(surroundings.environment);
  return url === undefined ? instanceCredentials(surroundings) : containerCredentials(surroundings, url);
}

/** `AWS_REGION`, or that of the machine where nothing else gave the credentials, or us-east-1. */
export async function awsRegion(surroundings: Surroundings): Promise<string> {
  const { AWS_REGION, AWS_DEFAULT_REGION } = surroundings.environment;
  const region =
    AWS_REGION ||
    AWS_DEFAULT_REGION ||
    (namesCredentials(surroundings) ? 'us-east-1' : await instance(surroundings, 'placement/region'));
  if (!/^[a-z0-9-]{1,32}$/.test(region)) throw new NoCredential('the AWS region is not a name');
  return region;
}

/** Version 2 of the instance metadata service alone: version 1 answers whoever makes a program fetch a URL. */
export function isAwsInstance(surroundings: Surroundings): Promise<boolean> {
  if (surroundings.environment.AWS_EC2_METADATA_DISABLED === 'true') return Promise.resolve(false);
  return probe(surroundings, sessionRequest(surroundings), async (response) =>
    /^[\x21-\x7e]+$/.test(await response.text()),
  );
}

function containerUrl(environment: Surroundings['environment']): string | undefined {
  const { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: path, AWS_CONTAINER_CREDENTIALS_FULL_URI: url } =
    environment;
  return path ? `http://169.254.170.2/${path.replace(/^\//, '')}` : url || undefined;
}

async function containerCredentials(surroundings: Surroundings, url: string): Promise<AwsCredentials> {
  const source = "the container's credentials endpoint";
  const { protocol, hostname } = URL.canParse(url) ? new URL(url) : { protocol: '', hostname: '' };
  if (protocol !== 'https:' && !(protocol === 'http:' && containerHosts.includes(hostname))) {
    throw new NoCredential(`${source} is neither this machine's nor https`);
  }
  const { AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file, AWS_CONTAINER_AUTHORIZATION_TOKEN: token } =
    surroundings.environment;
  const fromFile = file && (await surroundings.readTextFile(file).catch(() => undefined));
  // Sent as it is: an agent may want a scheme before the token.
  const authorization = file ? oneToken(fromFile, 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE') : token;
  const headers: Record<string, string> = authorization ? { authorization } : {};
  return readCredentials(await ask(surroundings, source, { url, headers }), source);
}

async function instanceCredentials(surroundings: Surroundings): Promise<AwsCredentials> {
  const role = await instance(surroundings, 'iam/security-credentials/');
  if (!/^[\w+=,.@-]{1,128}$/.test(role)) throw new NoCredential('this instance has no role');
  const text = await instance(surroundings, `iam/security-credentials/${role}`);
  return readCredentials(text, "the instance's metadata");
}

async function instance(surroundings: Surroundings, path: string): Promise<string> {
  const source = "the instance's metadata";
  if (surroundings.environment.AWS_EC2_METADATA_DISABLED === 'true') {
    throw new NoCredential('there are no AWS credentials, and AWS_EC2_METADATA_DISABLED is set');
  }
  const session = oneToken(await ask(surroundings, source, sessionRequest(surroundings)), source);
  const url = `${instanceUrl(surroundings)}/latest/meta-data/${path}`;
  return (await ask(surroundings, source, { url, headers: { 'x-aws-ec2-metadata-token': session } })).trim();
}

function sessionRequest(surroundings: Surroundings) {
  const url = `${instanceUrl(surroundings)}/latest/api/token`;
  return { url, method: 'PUT', headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '60' } } as const;
}

function instanceUrl({ environment }: Surroundings): string {
  return (environment.AWS_EC2_METADATA_SERVICE_ENDPOINT || `http://${linkLocal}`).replace(/\/$/, '');
}

function readCredentials(text: string, source: string): AwsCredentials {
  const member = (name: string) => oneToken(memberOf(text, name, source), source);
  return {
    accessKeyId: member('AccessKeyId'),
    secretAccessKey: member('SecretAccessKey'),
    sessionToken: member('Token'),
  };
}
