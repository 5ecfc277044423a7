/** A stand-in for where AWS gives a workload its role's credentials: EC2's metadata (version 2 alone), and a container's agent. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AwsCaller } from './sts-double.ts';

export interface AwsMetadataDouble {
  /** The origin of EC2's metadata: `AWS_EC2_METADATA_SERVICE_ENDPOINT`. */
  readonly url: string;
  /** `AWS_CONTAINER_CREDENTIALS_FULL_URI`. */
  readonly containerUrl: string;
  /** What the container's agent wants as Authorization. */
  readonly containerToken: string;
  region: string;
  /** Undefined for a machine without a role. */
  role: string | undefined;
  close(): Promise<void>;
}

export async function startAwsMetadataDouble(caller: AwsCaller): Promise<AwsMetadataDouble> {
  const session = 'canary-metadata-session==';
  const credentials = () =>
    JSON.stringify({
      Code: 'Success',
      Type: 'AWS-HMAC',
      AccessKeyId: caller.accessKeyId,
      SecretAccessKey: caller.secretAccessKey,
      Token: caller.sessionToken,
      LastUpdated: new Date().toISOString(),
      Expiration: new Date(Date.now() + 3_600_000).toISOString(),
    });
  const server = createServer(({ method, url, headers }, response) => {
    const say = (status: number, body = '') => response.writeHead(status).end(body);
    if (url === '/container') {
      return headers.authorization === double.containerToken ? say(200, credentials()) : say(401);
    }
    if (url === '/latest/api/token') {
      const seconds = Number(headers['x-aws-ec2-metadata-token-ttl-seconds']);
      return method === 'PUT' && seconds >= 1 && seconds <= 21_600 ? say(200, session) : say(400);
    }
    if (method !== 'GET' || headers['x-aws-ec2-metadata-token'] !== session) return say(401);
    const { role, region } = double;
    const list = '/latest/meta-data/iam/security-credentials/';
    if (url === '/latest/meta-data/placement/region') return say(200, region);
    if (url === list && role !== undefined) return say(200, role);
    if (url === `${list}${role}`) return say(200, credentials());
    return say(404);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const double: AwsMetadataDouble = {
    url,
    containerUrl: `${url}/container`,
    containerToken: 'canary-container-token',
    region: 'eu-west-1',
    role: 'orders-api',
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return double;
}
