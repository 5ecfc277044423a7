/** AWS: the credential is a signed request for the caller's own identity, which is not sent here. */
import { linkLocal } from './ask.ts';
import { awsCredentials, awsRegion, isAwsInstance, namesCredentials } from './aws-credentials.ts';
import type { ClientPlatform } from './platform.ts';
import { presign } from './sigv4.ts';

export const awsCallerIdentity: ClientPlatform = {
  platform: 'aws-caller-identity',
  looksFor: `AWS_ACCESS_KEY_ID, a container's AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or …_FULL_URI, or EC2's metadata server at ${linkLocal}`,
  subjectTokenType: 'urn:ietf:params:aws:token-type:aws4_request',
  detect: namesCredentials,
  probe: isAwsInstance,
  obtain: async (surroundings, audience) => {
    const [credentials, region] = await Promise.all([awsCredentials(surroundings), awsRegion(surroundings)]);
    const headers = { host: stsHost(region), 'x-mintmark-audience': audience };
    const url = presign(credentials, {
      region,
      service: 'sts',
      headers,
      query: { Action: 'GetCallerIdentity', Version: '2011-06-15' },
      expiresSeconds: 300,
      nowMillis: surroundings.nowMillis(),
    });
    const list = Object.entries(headers).map(([key, value]) => ({ key, value }));
    return encodeURIComponent(JSON.stringify({ url, method: 'GET', headers: list }));
  },
};

function stsHost(region: string): string {
  if (region.startsWith('cn-')) return `sts.${region}.amazonaws.com.cn`;
  return `sts.${region}.amazonaws.${region.startsWith('eusc-') ? 'eu' : 'com'}`;
}
