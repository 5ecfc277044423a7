/** Credentials that no deployment may accept, made on the spot with a key that nobody knows. */
import { randomUUID } from 'node:crypto';
import { generateKeyPair, SignJWT } from 'jose';

export interface Forger {
  /** Of a key that nobody publishes. */
  strange(): Promise<string>;
  expired(): Promise<string>;
  forAnother(): Promise<string>;
  /** RFC 8725 §3.1: `alg` is none, and there is no signature. */
  unsigned(): string;
}

/** Their claims are of a genuine credential where one is given, so that they differ from it in what is wrong with them. */
export async function createForger(
  issuer: string,
  genuine: string | undefined,
  nowMillis: number,
): Promise<Forger> {
  const { privateKey } = await generateKeyPair('RS256');
  const now = Math.floor(nowMillis / 1000);
  const made = { iss: issuer, sub: 'mintmark-probe', aud: issuer };
  const claims = {
    ...(claimsOf(genuine) ?? made),
    iat: now,
    nbf: now,
    exp: now + 300,
    jti: `mintmark-probe-${randomUUID()}`,
  };
  const sign = (changes: object) =>
    new SignJWT({ ...claims, ...changes })
      .setProtectedHeader({ typ: 'JWT', alg: 'RS256', kid: `mintmark-probe-${randomUUID()}` })
      .sign(privateKey);
  return {
    strange: () => sign({}),
    expired: () => sign({ iat: now - 7200, nbf: now - 7200, exp: now - 3600 }),
    forAnother: () => sign({ aud: 'https://mintmark-probe.invalid' }),
    unsigned: () => `${encode({ typ: 'JWT', alg: 'none' })}.${encode(claims)}.`,
  };
}

/** The same credential with one bit of a JWT's signature changed; of what is no JWT, with its last half cut off. */
export function withChange(credential: string): string {
  const [header, payload, signature, ...rest] = credential.split('.');
  if (header === undefined || payload === undefined || !signature || rest.length > 0) {
    return credential.slice(0, credential.length >> 1);
  }
  const bytes = Buffer.from(signature, 'base64url');
  const middle = bytes.length >> 1;
  bytes.writeUInt8((bytes[middle] ?? 0) ^ 1, middle);
  return `${header}.${payload}.${bytes.toString('base64url')}`;
}

function claimsOf(token: string | undefined): object | undefined {
  const payload = token?.split('.')[1];
  if (payload === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    return typeof claims === 'object' && claims !== null && !Array.isArray(claims) ? claims : undefined;
  } catch {
    return undefined; // a credential of another form
  }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
