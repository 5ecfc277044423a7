/** One X.509 certificate (RFC 5280 §4), read once from DER into what path validation asks about. */
import 'reflect-metadata'; // @peculiar/x509 does not load without it
import { type KeyObject, X509Certificate } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509Certificate as ParsedCertificate,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
} from '@peculiar/x509';

export interface Certificate {
  readonly der: Uint8Array;
  /** The names' DER, in base64: RFC 5280 §7.1 compares more loosely, which only ever refuses more here. */
  readonly subject: string;
  readonly issuer: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly isAuthority: boolean;
  readonly pathLength: number | undefined;
  /** Undefined where there is no such extension. */
  readonly keyUsage: { readonly flags: number; readonly isCritical: boolean } | undefined;
  readonly extendedKeyUsages: readonly string[] | undefined;
  /** The URI names of the subject alternative name, as written. */
  readonly uris: readonly string[];
  /** Extensions that we do not process but would have to. */
  readonly unprocessed: readonly string[];
  /** `name/hash` of the algorithm that it is signed with, such as `ECDSA/SHA-256`. */
  readonly signatureAlgorithm: string;
  /** What it says of its own key and of its signer's: a hint where several have one name. */
  readonly keyId: string | undefined;
  readonly signerKeyId: string | undefined;
  readonly publicKey: KeyObject;
  /** Whether that key made this certificate's signature. */
  isSignedWith(key: KeyObject): boolean;
}

const maxDerBytes = 16_384;
const subjectAlternativeName = '2.5.29.17';
const nameConstraints = '2.5.29.30'; // never evaluated here, so never passed over, critical or not
const processed = new Set([subjectAlternativeName, '2.5.29.15', '2.5.29.19', '2.5.29.37']);

export { KeyUsageFlags };

/** Throws an Error for what is not exactly one certificate in DER. Its message holds nothing of the certificate. */
export function readCertificate(der: Uint8Array): Certificate {
  if (der.length > maxDerBytes) throw new Error(`more than ${maxDerBytes} bytes`);
  const native = new X509Certificate(der);
  // A second reader must agree, and nothing may follow: bytes that a hash counts and a parser skips make two of one.
  if (Buffer.compare(native.raw, der) !== 0) throw new Error('not one certificate in DER');
  const parsed = new ParsedCertificate(Uint8Array.from(der));
  const types = parsed.extensions.map(({ type }) => type);
  if (new Set(types).size !== types.length) throw new Error('an extension stands there twice'); // RFC 5280 §4.2
  const constraints = parsed.getExtension(BasicConstraintsExtension);
  const usage = parsed.getExtension(KeyUsagesExtension);
  const names = parsed.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  const { name, hash }: { name?: string; hash?: { name: string } } = parsed.signatureAlgorithm;
  return {
    der: Uint8Array.from(der),
    subject: Buffer.from(parsed.subjectName.toArrayBuffer()).toString('base64'),
    issuer: Buffer.from(parsed.issuerName.toArrayBuffer()).toString('base64'),
    notBefore: parsed.notBefore.getTime(),
    notAfter: parsed.notAfter.getTime(),
    isAuthority: constraints?.ca === true,
    pathLength: constraints?.pathLength,
    keyUsage: usage === null ? undefined : { flags: usage.usages, isCritical: usage.critical },
    extendedKeyUsages: parsed.getExtension(ExtendedKeyUsageExtension)?.usages.map(String),
    uris: names.filter(({ type }) => type === 'url').map(({ value }) => value),
    unprocessed: parsed.extensions
      .filter(({ type, critical }) => type === nameConstraints || (critical && !processed.has(type)))
      .map(({ type }) => type),
    signatureAlgorithm: `${name ?? ''}/${hash?.name ?? ''}`,
    keyId: parsed.getExtension(SubjectKeyIdentifierExtension)?.keyId,
    signerKeyId: parsed.getExtension(AuthorityKeyIdentifierExtension)?.keyId,
    publicKey: native.publicKey,
    isSignedWith: (key) => native.verify(key),
  };
}
