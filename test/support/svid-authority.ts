/** Real certificate authorities and X.509-SVIDs for tests, made at run time; every field can be made wrong. */
import 'reflect-metadata'; // @peculiar/x509 does not load without it
import { generateKeyPairSync, type webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

export const { KeyUsageFlags } = x509;
const clientAuth = '1.3.6.1.5.5.7.3.2';
const serverAuth = '1.3.6.1.5.5.7.3.1';
const hourMillis = 3_600_000;

const algorithms = {
  P256: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  P384: { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  P521: { name: 'ECDSA', namedCurve: 'P-521', hash: 'SHA-512' },
  RSA: rsa(2048, 'SHA-256'),
  RSA1024: rsa(1024, 'SHA-256'),
  SHA1: rsa(2048, 'SHA-1'),
} as const;

function rsa(modulusLength: number, hash: string) {
  return { name: 'RSASSA-PKCS1-v1_5', publicExponent: Uint8Array.of(1, 0, 1), modulusLength, hash };
}

export interface CertificateWishes {
  readonly algorithm?: keyof typeof algorithms;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly name?: string;
  /** Those of another certificate, which this one renews. */
  readonly keys?: webcrypto.CryptoKeyPair;
  readonly extensions?: readonly x509.Extension[];
}

export interface Issued {
  readonly certificate: x509.X509Certificate;
  readonly der: Uint8Array;
  readonly keys: webcrypto.CryptoKeyPair;
  readonly algorithm: keyof typeof algorithms;
}

export const uris = (...values: readonly string[]) =>
  new x509.SubjectAlternativeNameExtension(values.map((value) => ({ type: 'url' as const, value })));
export const authority = (isAuthority: boolean, pathLength?: number) =>
  new x509.BasicConstraintsExtension(isAuthority, pathLength, true);
export const usage = (flags: number, isCritical = true) => new x509.KeyUsagesExtension(flags, isCritical);
export const extendedUsage = (...usages: readonly string[]) =>
  new x509.ExtendedKeyUsageExtension([...usages]);
export const unknownExtension = (oid: string, isCritical: boolean) =>
  new x509.Extension(oid, isCritical, Uint8Array.of(5, 0));

/** What SPIRE puts into a workload's certificate. */
export const leafExtensions = (uri: string) => [
  authority(false),
  usage(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment),
  extendedUsage(serverAuth, clientAuth),
  uris(uri),
];
export const signerExtensions = [authority(true), usage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign)];

/** An authority's extensions, and what its certificate says of its key. */
export const withKeyId = (keyId = 'ab') => ({
  extensions: [...signerExtensions, new x509.SubjectKeyIdentifierExtension(keyId)],
});
export const signerKeyId = (keyId: string) => new x509.AuthorityKeyIdentifierExtension(keyId);

/** A certificate as wished; signed by itself where no issuer is given. */
export async function issue(
  atMillis: number,
  issuer: Issued | undefined,
  { algorithm = 'P256', name = 'O=Test', notBefore, notAfter, extensions = [], ...wishes }: CertificateWishes,
): Promise<Issued> {
  const chosen = algorithms[algorithm];
  const keys =
    wishes.keys ??
    ((await crypto.subtle.generateKey(chosen, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: name,
    issuer: issuer?.certificate.subject ?? name,
    publicKey: keys.publicKey,
    signingKey: issuer?.keys.privateKey ?? keys.privateKey,
    signingAlgorithm: algorithms[issuer?.algorithm ?? algorithm],
    notBefore: new Date(notBefore ?? atMillis - hourMillis),
    notAfter: new Date(notAfter ?? atMillis + hourMillis),
    extensions: [...extensions],
  });
  return { certificate, der: new Uint8Array(certificate.rawData), keys, algorithm };
}

/** An RSA key pair with any public exponent, which no key generator makes. */
export async function rsaKeys(exponent: bigint): Promise<webcrypto.CryptoKeyPair> {
  const jwk = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  const number = (text = '') => BigInt(`0x${Buffer.from(text, 'base64url').toString('hex')}`);
  const text = (value: bigint) => {
    const hex = value.toString(16);
    return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url');
  };
  const [p, q] = [number(jwk.p) - 1n, number(jwk.q) - 1n];
  const d = inverse(exponent, p * q);
  const secret = { ...jwk, e: text(exponent), d: text(d), dp: text(d % p), dq: text(d % q) };
  const use = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const { kty = '', n = '', e } = secret;
  return {
    privateKey: await crypto.subtle.importKey('jwk', secret, use, true, ['sign']),
    publicKey: await crypto.subtle.importKey('jwk', { kty, n, e }, use, true, ['verify']),
  };
}

/** Extended Euclid: x with value · x ≡ 1. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [r0, r1, x0, x1] = [modulus, value % modulus, 0n, 1n];
  while (r1 > 0n) [r0, r1, x0, x1] = [r1, r0 % r1, x1, x0 - (r0 / r1) * x1];
  return ((x0 % modulus) + modulus) % modulus;
}

export const makeRoot = (atMillis: number, wishes: CertificateWishes = {}) =>
  issue(atMillis, undefined, { name: 'CN=Root', extensions: signerExtensions, ...wishes });

/** A bundle's JWK for that root. */
export const rootJwk = ({ der }: Issued) => ({
  kty: 'EC',
  use: 'x509-svid',
  x5c: [Buffer.from(der).toString('base64')],
});

/** The certificates, and the leaf's key, in PEM. */
export async function pemOf(chain: readonly Issued[]): Promise<{ cert: string; key: string }> {
  const [leaf] = chain;
  if (leaf === undefined) throw new Error('an empty chain');
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', leaf.keys.privateKey)).toString('base64');
  return {
    cert: chain.map(({ certificate }) => certificate.toString('pem')).join('\n'),
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8.replace(/(.{64})/g, '$1\n')}\n-----END PRIVATE KEY-----\n`,
  };
}
