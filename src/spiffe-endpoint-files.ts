/** What the operator gives the bundle's own endpoint: its X.509-SVID, and the roots that the bundle then publishes. */
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { BundleRoots } from './core/spiffe-bundle.ts';
import { parseSpiffeId, trustDomainOf } from './core/spiffe-id.ts';
import { readPemCertificates } from './http/pem-certificates.ts';
import { readTlsPair, type TlsFiles, type TlsPair, TlsPairMismatch } from './tls-files.ts';

export interface SpiffeEndpoint extends TlsPair {
  readonly listen: { readonly host: string; readonly port: number };
  readonly files: TlsFiles;
  readonly rootsPath: string;
  readonly roots: BundleRoots;
}

/** The message is for the operator, and holds nothing of the files. */
class SpiffeFilesRefused extends Error {
  override readonly name = 'SpiffeFilesRefused';
}

type Settings = Pick<SpiffeEndpoint, 'listen' | 'rootsPath'> & TlsFiles;
type Given = { readonly [name in keyof Settings]: Settings[name] | undefined };

/** All four or none: without roots in the bundle nobody could authenticate the endpoint a second time. */
export function readSpiffeEndpoint(
  given: Given,
  trustDomain: string,
  problems: string[],
): SpiffeEndpoint | undefined {
  const { listen, certificatePath, keyPath, rootsPath } = given;
  if (!listen && !certificatePath && !keyPath && !rootsPath) return undefined;
  if (!listen || !certificatePath || !keyPath || !rootsPath) {
    problems.push('MINTMARK_SPIFFE_BUNDLE_LISTEN, …_CERT, …_KEY and …_ROOTS: give all four or none');
    return undefined;
  }
  const files = { certificatePath, keyPath };
  try {
    const pair = readTlsPair(files);
    requireOwnName(pair.certificate, trustDomain);
    return { ...pair, listen, files, rootsPath, roots: readRoots(rootsPath) };
  } catch (error) {
    problems.push(`MINTMARK_SPIFFE_BUNDLE_CERT, …_KEY and …_ROOTS: ${whyRefused(error)}`);
    return undefined;
  }
}

function whyRefused(error: unknown): string {
  if (error instanceof TlsPairMismatch || error instanceof SpiffeFilesRefused) return error.message;
  return `cannot be read as files in PEM (${error instanceof Error && 'code' in error ? error.code : 'error'})`;
}

/** X509-SVID §2: one URI, the SPIFFE ID; SPIFFE Federation §5.2.2 lets consumers name it beforehand. */
export function requireOwnName(certificate: string, trustDomain: string): void {
  const names = new X509Certificate(certificate).subjectAltName?.split(', ') ?? [];
  const uris = names.filter((name) => name.startsWith('URI:')).map((name) => name.slice('URI:'.length));
  const id = uris.length === 1 ? parseSpiffeId(uris[0] ?? '') : undefined;
  if (id !== undefined && trustDomainOf(id) === trustDomain) return;
  throw new SpiffeFilesRefused(
    `the certificate must have one URI, a SPIFFE ID under spiffe://${trustDomain}/`,
  );
}

/** X509-SVID §6.1: a JWK for each root, with its certificate alone and no `kid`. */
export function readRoots(path: string): BundleRoots {
  const chain = readPemCertificates(readFileSync(path, 'utf8'));
  if (chain === undefined)
    throw new SpiffeFilesRefused('the roots must be certificates in PEM and nothing else');
  const keys = chain.map((der) => {
    const certificate = new X509Certificate(der);
    if (!certificate.ca) throw new SpiffeFilesRefused('each of the roots must be an authority’s certificate');
    const { kty, ...material } = certificate.publicKey.export({ format: 'jwk' });
    return {
      ...material,
      kty: String(kty),
      use: 'x509-svid',
      x5c: [Buffer.from(der).toString('base64')],
    } as const;
  });
  return { keys, changedAt: Math.floor(statSync(path).mtimeMs) };
}
