/** EC2 instances, by the identity document that their region signed (`rsa2048`): the weakest proof, since it is for no audience. */
import { refuse } from '../../../core/error.ts';
import type { JsonObject } from '../../../core/json.ts';
import type { Platform, ProofPorts, ProofTrust, Proven, SignedDocument } from '../../../core/platform.ts';

const maxAgeSeconds = 300;
const clockSkewSeconds = 30;
/** Documents do not expire: an instance has one exchange an hour at most, and what that gives ends with the hour. */
const lifetimeSeconds = 3600;

/** Every value is a legal path segment, whole: nothing that a path could read otherwise is let through. */
const shapes = {
  accountId: /^\d{12}$/,
  region: /^[a-z]{2,8}(-[a-z]+)+-\d{1,2}$/,
  instanceId: /^i-[0-9a-f]{8,17}$/,
  pendingTime: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
} as const;

export const awsInstanceIdentity: Platform = {
  name: 'aws-instance-identity',
  algorithms: [],
  defaultSubject: '/{issuer-name}/account/{accountId}/region/{region}/instance/{instanceId}',
  maxTokenLifetimeSeconds: lifetimeSeconds,
  isSharedIssuer: () => true, // a region signs for every account with one key
  tenantClaims: ['accountId'],
  isOneTime: true,
  proof: {
    issuerUrl: 'https://ec2.amazonaws.com',
    declaredType: 'aws-instance-identity',
    recognises: (credential) => /^(-----BEGIN PKCS7-----\s*)?MI/.test(credential),
    regionCertificates: { maxAgeSeconds },
    replayable:
      'an instance identity document is for no audience, so whoever has seen one can use it here first; prefer aws-web-identity or aws-caller-identity',
    prove: async (credential, ports) => prove(credential, ports),
  },
};

function prove(credential: string, { nowMillis, readSignedDocument }: ProofPorts): Proven {
  const document = readSignedDocument(readBase64(credential));
  const { claims } = document;
  const accountId = claimOf(claims, 'accountId');
  const region = claimOf(claims, 'region');
  const instanceId = claimOf(claims, 'instanceId');
  const pendingMillis = Date.parse(claimOf(claims, 'pendingTime'));
  if (Number.isNaN(pendingMillis)) refuse('credential.claim_malformed', 'pendingTime');
  return {
    claims,
    subject: `arn:aws:ec2:${region}:${accountId}:instance/${instanceId}`,
    expiresAt: Math.floor(nowMillis / 1000) + lifetimeSeconds,
    // Not the document, of which an instance can have many: its signature is new each time.
    uniqueText: `${accountId} ${region} ${instanceId}`,
    confirm: (trust) => {
      checkSignature(document, region, trust);
      checkAge((nowMillis - pendingMillis) / 1000, trust.maxTokenAgeSeconds);
    },
  };
}

/** Whose certificate the message itself carries does not matter: the key is that of the region that the content names. */
function checkSignature(document: SignedDocument, region: string, { regionCertificates }: ProofTrust): void {
  const certificate = Object.hasOwn(regionCertificates, region) ? regionCertificates[region] : undefined;
  if (certificate === undefined) refuse('credential.key_unknown', `no certificate of region ${region}`);
  if (!document.isSignedWith(certificate)) {
    refuse('credential.signature_invalid', `not by the certificate of region ${region}`);
  }
}

function checkAge(ageSeconds: number, ownMaxSeconds = maxAgeSeconds): void {
  if (ageSeconds < -clockSkewSeconds) {
    refuse('credential.issued_in_future', `pendingTime is ${Math.ceil(-ageSeconds)} s ahead`);
  }
  const most = Math.min(ownMaxSeconds, maxAgeSeconds);
  if (ageSeconds > most) {
    refuse('credential.too_old', `pendingTime was ${Math.floor(ageSeconds)} s ago, at most ${most} s`);
  }
}

function claimOf(claims: JsonObject, name: keyof typeof shapes): string {
  const value = claims[name];
  if (value === undefined) return refuse('credential.claim_missing', name);
  if (typeof value !== 'string' || !shapes[name].test(value)) {
    return refuse('credential.claim_malformed', name);
  }
  return value;
}

/** With or without line breaks and armour. Strict otherwise: a decoder that skips characters makes many texts of one. */
function readBase64(credential: string): Uint8Array {
  const armoured = /^-----BEGIN PKCS7-----\s([\s\S]*)\s-----END PKCS7-----\s*$/.exec(credential);
  const text = (armoured?.[1] ?? credential).replace(/[\r\n]/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.length % 4 !== 0) {
    refuse('credential.malformed', 'not base64');
  }
  return Buffer.from(text, 'base64');
}
