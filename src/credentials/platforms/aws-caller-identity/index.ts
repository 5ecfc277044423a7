/** AWS roles and users, by a signed request for `sts:GetCallerIdentity` that we rebuild, send, and believe the answer of. */
import { refuse } from '../../../core/error.ts';
import type { Platform, ProofPorts, Proven } from '../../../core/platform.ts';
import { readCallerIdentity } from './caller-identity.ts';
import { audienceHeader, readSignedRequest, rebuiltQuery } from './signed-request.ts';

/** AWS honours a signature for 15 minutes; no token of ours outlives it. */
const signatureLifetimeSeconds = 900;

export const awsCallerIdentity: Platform = {
  name: 'aws-caller-identity',
  algorithms: [],
  defaultSubject: '/{issuer-name}/account/{account}/{principal|path}',
  maxTokenLifetimeSeconds: signatureLifetimeSeconds,
  isSharedIssuer: () => true, // every AWS account is behind it
  tenantClaims: ['account'],
  isOneTime: true,
  proof: {
    issuerUrl: 'https://sts.amazonaws.com',
    declaredType: 'aws4_request',
    recognises: (credential) => /^%7b/i.test(credential),
    prove,
  },
};

async function prove(credential: string, { issuer, nowMillis, callPlatform }: ProofPorts): Promise<Proven> {
  const request = readSignedRequest(credential, issuer, nowMillis);
  const { status, body } = await callPlatform({
    method: 'GET',
    url: `https://${request.host}/?${rebuiltQuery(request)}`,
    headers: { host: request.host, [audienceHeader]: issuer, accept: 'application/json' },
  }).catch((cause: unknown) => refuse('credential.platform_unavailable', request.host, cause));
  if (status === 429 || status >= 500) {
    refuse('credential.platform_unavailable', `${request.host} answered with status ${status}`);
  }
  if (status !== 200) {
    refuse('credential.signature_invalid', `${request.host} answered with status ${status}`);
  }
  const claims = readCallerIdentity(body, request);
  return {
    claims,
    subject: claims.arn,
    expiresAt: request.signedAt + signatureLifetimeSeconds,
    uniqueText: `${request.region} ${request.signature}`,
  };
}
