/** Certificates in PEM (RFC 7468 §5.1) as proxies write them into a header. */

/** Neither part of the pattern can match what the next one does, so that a hostile header costs no more than its length. */
const block = /^-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*/;

/** DER of each, in order; undefined for text that is anything but one certificate after another. */
export function readPemCertificates(text: string): readonly Uint8Array[] | undefined {
  const certificates: Uint8Array[] = [];
  let rest = text.trimStart();
  while (rest !== '') {
    const [whole, body] = block.exec(rest) ?? [];
    const der = body === undefined ? undefined : readBase64(body.replace(/\s/g, ''));
    if (whole === undefined || der === undefined) return undefined;
    certificates.push(der);
    rest = rest.slice(whole.length);
  }
  return certificates.length === 0 ? undefined : certificates;
}

/** The same, percent-encoded. A plus sign stands for itself: this is no form (AWS leaves it as it is). */
export function readEscapedPem(text: string): readonly Uint8Array[] | undefined {
  try {
    return readPemCertificates(decodeURIComponent(text));
  } catch {
    return undefined; // a percent sign that escapes nothing
  }
}

/** Base64 with its padding, in the one way to write those bytes; undefined for anything else. */
export function readBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.length > 0 && bytes.toString('base64') === text ? Uint8Array.from(bytes) : undefined;
}
