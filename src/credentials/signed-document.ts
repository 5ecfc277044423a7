/** A JSON document inside a CMS message (RFC 5652 §5) with one RSA signer, whose key the reader names: no certificate within is read. */
import 'reflect-metadata'; // @peculiar/asn1-schema does not load without it
import { createHash, timingSafeEqual, verify, X509Certificate } from 'node:crypto';
import { ContentInfo, SignedData, type SignerInfo } from '@peculiar/asn1-cms';
import { AsnParser, AsnSerializer } from '@peculiar/asn1-schema';
import { fromBER, OctetString, Set as SetOf } from 'asn1js';
import { refuse } from '../core/error.ts';
import { isJsonObject } from '../core/json.ts';
import type { SignedDocument } from '../core/platform.ts';
import { parseStrictJson } from '../core/strict-json.ts';

const signedDataType = '1.2.840.113549.1.7.2';
const dataType = '1.2.840.113549.1.7.1';
const sha256 = '2.16.840.1.101.3.4.2.1';
const rsaAlgorithms = ['1.2.840.113549.1.1.1', '1.2.840.113549.1.1.11']; // rsaEncryption, sha256WithRSAEncryption
const contentTypeAttribute = '1.2.840.113549.1.9.3';
const messageDigestAttribute = '1.2.840.113549.1.9.4';
const maxBytes = 8192;

/** Reads BER, of which DER is a part. Throws an `OAuthError` for everything but one signer over embedded JSON with SHA-256. */
export function readSignedDocument(message: Uint8Array): SignedDocument {
  const signed = readSignedData(message);
  const { eContentType, eContent } = signed.encapContentInfo;
  const content = eContent?.single?.buffer ?? readPieces(eContent?.any);
  if (eContentType !== dataType || content === undefined || content.byteLength === 0) {
    refuse('credential.malformed', 'the signed document is not embedded');
  }
  const [signer, second] = signed.signerInfos;
  if (signer === undefined || second !== undefined) refuse('credential.malformed', 'not exactly one signer');
  if (signer.digestAlgorithm.algorithm !== sha256) {
    refuse('credential.algorithm_refused', 'a digest other than SHA-256');
  }
  if (!rsaAlgorithms.includes(signer.signatureAlgorithm.algorithm)) {
    refuse('credential.algorithm_refused', 'a signature other than RSA');
  }
  const signedBytes = readSignedBytes(signer, new Uint8Array(content));
  const signature = new Uint8Array(signer.signature.buffer);
  return {
    claims: readClaims(content),
    isSignedWith: (certificate) => {
      const { publicKey } = new X509Certificate(certificate);
      return publicKey.asymmetricKeyType === 'rsa' && verify('sha256', signedBytes, publicKey, signature);
    },
  };
}

function readSignedData(message: Uint8Array): SignedData {
  if (message.length > maxBytes) refuse('credential.malformed', `more than ${maxBytes} bytes`);
  try {
    const info = AsnParser.parse(exactly(message), ContentInfo);
    if (info.contentType === signedDataType) {
      return AsnParser.parse(exactly(new Uint8Array(info.content)), SignedData);
    }
  } catch (cause) {
    refuse('credential.malformed', 'not one CMS message', cause);
  }
  return refuse('credential.malformed', 'a CMS message that is not signed data');
}

/** An OCTET STRING in pieces, as BER allows and AWS sends it. */
function readPieces(any: ArrayBuffer | undefined): ArrayBuffer | undefined {
  if (any === undefined) return undefined;
  const { result, offset } = fromBER(any);
  return result instanceof OctetString && offset === any.byteLength ? result.getValue() : undefined;
}

/** Bytes that one reader counts and another skips make two messages of one. */
function exactly(bytes: Uint8Array): ArrayBuffer {
  const buffer = Uint8Array.from(bytes).buffer;
  if (fromBER(buffer).offset !== buffer.byteLength) throw new Error('bytes after the message');
  return buffer;
}

/**
 * The attributes in DER, as the SET that is signed (RFC 5652 §5.4). They are required: without them, the attributes of one
 * message would be signed content of another.
 */
function readSignedBytes({ signedAttrs }: SignerInfo, content: Uint8Array): Uint8Array {
  if (signedAttrs === undefined) {
    return refuse('credential.malformed', 'no signed attributes');
  }
  const singleValue = (type: string): ArrayBuffer => {
    const [attribute, second] = signedAttrs.filter(({ attrType }) => attrType === type);
    const [value, another] = attribute?.attrValues ?? [];
    if (value === undefined || another !== undefined || second !== undefined) {
      refuse('credential.malformed', 'not exactly one content type and message digest among the attributes');
    }
    return value;
  };
  const contentType = Buffer.from(singleValue(contentTypeAttribute)).toString('hex');
  if (contentType !== '06092a864886f70d010701') refuse('credential.malformed', 'another signed content type');
  const digestValue = Buffer.from(singleValue(messageDigestAttribute));
  const digest = createHash('sha256').update(content).digest();
  // An OCTET STRING of 32 bytes in DER, and nothing else.
  const expected = Buffer.concat([Buffer.from([0x04, 0x20]), digest]);
  if (digestValue.length !== expected.length || !timingSafeEqual(digestValue, expected)) {
    refuse('credential.signature_invalid', 'the content is not what was signed');
  }
  const encoded = signedAttrs.map((attribute) => Buffer.from(AsnSerializer.serialize(attribute)));
  const value = encoded.sort(Buffer.compare).map((der) => fromBER(Uint8Array.from(der).buffer).result);
  return new Uint8Array(new SetOf({ value }).toBER());
}

function readClaims(content: ArrayBuffer): SignedDocument['claims'] {
  try {
    const claims = parseStrictJson(new TextDecoder('utf-8', { fatal: true }).decode(content));
    if (isJsonObject(claims)) return claims;
  } catch (cause) {
    refuse('credential.malformed', 'the signed document is not strict JSON', cause);
  }
  return refuse('credential.malformed', 'the signed document is not a JSON object');
}
