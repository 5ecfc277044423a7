/** Authorities of trust domains, made at run time: roots as a bundle publishes them, and X.509-SVIDs of servers. */
import 'reflect-metadata'; // @peculiar/x509 does not load without it
import * as x509 from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const hourMillis = 3_600_000;

export interface SvidOptions {
  /** The subject alternative names; the SPIFFE ID alone by default. */
  readonly names?: x509.JsonGeneralNames;
  readonly isAuthority?: boolean;
  /** The SVID is valid for two hours around this time; now by default. */
  readonly atMillis?: number;
}

export interface SpiffeAuthority {
  /** The root as a JWK of a bundle. */
  readonly rootJwk: { readonly kty: string; readonly use: 'x509-svid'; readonly x5c: readonly string[] };
  readonly rootDer: Uint8Array;
  issue(spiffeId: string, options?: SvidOptions): Promise<{ readonly cert: string; readonly key: string }>;
}

export async function makeSpiffeAuthority(trustDomain: string): Promise<SpiffeAuthority> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${trustDomain}`,
    keys,
    signingAlgorithm: algorithm,
    ...validAround(Date.now(), 24),
    extensions: [
      new x509.BasicConstraintsExtension(true, 1, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${trustDomain}` }]),
      // Roots of one trust domain share a subject: only the identifiers tell them apart.
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const { x, y } = await crypto.subtle.exportKey('jwk', keys.publicKey);
  const jwk = { kty: 'EC', crv: 'P-256', x, y };
  return {
    rootDer: new Uint8Array(root.rawData),
    rootJwk: { ...jwk, use: 'x509-svid', x5c: [Buffer.from(root.rawData).toString('base64')] },
    issue: async (spiffeId, { names, isAuthority = false, atMillis = Date.now() } = {}) => {
      const own = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
      const certificate = await x509.X509CertificateGenerator.create({
        subject: 'CN=workload',
        issuer: root.subject,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: algorithm,
        ...validAround(atMillis, 1),
        extensions: [
          new x509.BasicConstraintsExtension(isAuthority, undefined, true),
          new x509.KeyUsagesExtension(
            x509.KeyUsageFlags.digitalSignature | (isAuthority ? x509.KeyUsageFlags.keyCertSign : 0),
            true,
          ),
          await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
          new x509.SubjectAlternativeNameExtension(names ?? [{ type: 'url', value: spiffeId }]),
        ],
      });
      const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', own.privateKey)).toString('base64');
      return {
        cert: certificate.toString('pem'),
        key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
      };
    },
  };
}

function validAround(atMillis: number, hours: number) {
  return {
    notBefore: new Date(atMillis - hours * hourMillis),
    notAfter: new Date(atMillis + hours * hourMillis),
  };
}
