/** What a first policy for a platform is made of: an issuer, and claims as the platform signs them. */
import { z } from 'zod';
import { isJsonObject, type JsonObject } from '../../core/json.ts';
import { usageFailure } from '../exit.ts';

export interface PlatformExample {
  readonly issuer: string;
  readonly claims: JsonObject;
  /** Where workloads cannot ask for a token for our issuer. */
  readonly audiences?: readonly string[] | undefined;
}

const vectorsSchema = z.object({
  issuer: z.string(),
  claims: z.record(z.string(), z.json()),
  audiences: z.array(z.string()).optional(),
});

/** Credentials that are no JWTs have no vectors: these are claims as their proof gives them. */
const provenClaims: Readonly<Record<string, JsonObject>> = {
  'aws-caller-identity': {
    account: '123456789012',
    arn: 'arn:aws:sts::123456789012:assumed-role/orders/i-0123456789abcdef0',
    partition: 'aws',
    principal: 'role/orders',
    principal_id: 'AROA0123456789EXAMPLE',
    region: 'eu-central-1',
    role: 'orders',
  },
  'aws-instance-identity': {
    accountId: '123456789012',
    region: 'eu-central-1',
    instanceId: 'i-0123456789abcdef0',
  },
};

/** Of a platform's own test vectors, or of its form of credential. */
export function exampleOf(
  platform: string,
  issuerUrl: string | undefined,
  vectors: unknown,
): PlatformExample {
  const parsed = vectorsSchema.safeParse(vectors);
  if (parsed.success) return parsed.data;
  const claims = provenClaims[platform];
  if (claims !== undefined && issuerUrl !== undefined) return { issuer: issuerUrl, claims };
  throw new Error(`there is no example of ${platform}`);
}

/** What a sample token says. Nothing is verified: the policy that is written from it is for a person to read. */
export function exampleOfToken(token: string, example: PlatformExample): PlatformExample {
  const claims = payloadOf(token);
  if (claims === undefined || typeof claims.iss !== 'string') {
    throw usageFailure('the sample is no JWT with an issuer: leave --token out, and fill the ids in by hand');
  }
  const audiences = [claims.aud].flat().filter((audience) => typeof audience === 'string');
  return { issuer: claims.iss, claims, ...(example.audiences === undefined ? {} : { audiences }) };
}

function payloadOf(token: string): JsonObject | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    return isJsonObject(claims) ? claims : undefined;
  } catch {
    return undefined;
  }
}
