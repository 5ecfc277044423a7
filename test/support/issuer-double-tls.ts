/** Certificates made at run time, and an https server with them: real TLS for tests of what goes out. */
import 'reflect-metadata'; // @peculiar/x509 does not load without it
import { createServer } from 'node:https';
import * as x509 from '@peculiar/x509';
import { type IssuerDouble, type IssuerDoubleOptions, startIssuerDouble } from './issuer-double.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const hourMillis = 3_600_000;

export interface TestAuthority {
  /** PEM. */
  readonly certificate: string;
  /** A server certificate for the name, as PEM. Valid an hour around `atMillis`, now by default. */
  issue(hostname: string, atMillis?: number): Promise<{ readonly cert: string; readonly key: string }>;
}

/** Makes a certificate authority that nobody trusts yet. */
export async function makeAuthority(name = 'CN=Test Authority'): Promise<TestAuthority> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name,
    keys,
    signingAlgorithm: algorithm,
    ...validAround(Date.now(), 24),
    extensions: [new x509.BasicConstraintsExtension(true, 1, true)],
  });
  return {
    certificate: authority.toString('pem'),
    issue: async (hostname, atMillis = Date.now()) => {
      const own = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
      const certificate = await x509.X509CertificateGenerator.create({
        subject: `CN=${hostname}`,
        issuer: authority.subject,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: algorithm,
        ...validAround(atMillis, 1),
        extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: hostname }])],
      });
      const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', own.privateKey)).toString('base64');
      return {
        cert: certificate.toString('pem'),
        key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
      };
    },
  };
}

/** The issuer double behind https, on loopback, under that name: give the fetcher a resolver that knows it. */
export async function startTlsIssuerDouble(
  hostname: string,
  certificate: { readonly cert: string; readonly key: string },
  options: IssuerDoubleOptions = {},
): Promise<IssuerDouble> {
  return await startIssuerDouble({
    ...options,
    serverOf: (listener) => createServer(certificate, listener),
    originOf: (port) => `https://${hostname}:${port}`,
  });
}

function validAround(atMillis: number, hours: number) {
  return {
    notBefore: new Date(atMillis - hours * hourMillis),
    notAfter: new Date(atMillis + hours * hourMillis),
  };
}
