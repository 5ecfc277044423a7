/** Makes one SPIFFE bundle a trust domain out of what the Workload API says of it in two streams. */
import { X509Certificate } from 'node:crypto';
import { isJsonObject } from '../../core/json.ts';
import { isTrustDomainName } from '../../core/spiffe-id.ts';

type ById = ReadonlyMap<string, Uint8Array>;

const idStart = 'spiffe://';

/**
 * Bundles as JSON text by trust domain. What cannot be read of a trust domain is left out: it then trusts less, never more,
 * and the other trust domains keep what they have.
 */
export function bundleTexts(jwtBundles: ById, x509Bundles: ById): ReadonlyMap<string, string> {
  const ids = new Set([...jwtBundles.keys(), ...x509Bundles.keys()]);
  const texts = new Map<string, string>();
  for (const id of ids) {
    const trustDomain = id.slice(idStart.length);
    if (!id.startsWith(idStart) || !isTrustDomainName(trustDomain)) continue;
    const keys = [...jwtKeys(jwtBundles.get(id)), ...x509Keys(x509Bundles.get(id))];
    texts.set(trustDomain, JSON.stringify({ keys }));
  }
  return texts;
}

/** SPIRE leaves out `use` here, since the stream itself says what its keys are for. */
function jwtKeys(jwks: Uint8Array | undefined): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(jwks ?? []).toString('utf8'));
    if (!isJsonObject(value) || !Array.isArray(value.keys)) return [];
    return value.keys.filter(isJsonObject).map((key) => ({ use: 'jwt-svid', ...key }));
  } catch {
    return [];
  }
}

/** ASN.1 DER certificates, one after the other without anything between them. */
function x509Keys(certificates: Uint8Array | undefined): readonly unknown[] {
  try {
    return splitDer(Buffer.from(certificates ?? [])).map((der) => {
      const jwk = new X509Certificate(der).publicKey.export({ format: 'jwk' });
      return { ...jwk, use: 'x509-svid', x5c: [der.toString('base64')] };
    });
  } catch {
    return [];
  }
}

/** Each element is a SEQUENCE (0x30) with a length in the definite form (X.690 §8.1.3). */
function splitDer(bytes: Buffer): readonly Buffer[] {
  const elements: Buffer[] = [];
  let start = 0;
  while (start < bytes.length) {
    const first = bytes[start + 1] ?? 0;
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    if (bytes[start] !== 0x30 || lengthBytes > 4) throw new Error('not a certificate');
    const length = lengthBytes === 0 ? first : bytes.readUIntBE(start + 2, lengthBytes);
    const end = start + 2 + lengthBytes + length;
    if (end > bytes.length) throw new Error('the certificate is cut short');
    elements.push(bytes.subarray(start, end));
    start = end;
  }
  return elements;
}
