/** SPIFFE IDs, parsed from the raw string by the full grammar (SPIFFE-ID §2); never with WHATWG `URL`, which normalises. */

declare const spiffeIdBrand: unique symbol;

/** A string that `parseSpiffeId` has accepted. */
export type SpiffeId = string & { readonly [spiffeIdBrand]: true };

const maxBytes = 2048; // SPIFFE-ID §2.3
const maxTrustDomainBytes = 255; // SPIFFE-ID §2.1
const trustDomainPattern = /^[a-z0-9._-]+$/;
const segmentPattern = /^[a-zA-Z0-9._-]+$/;

export function isTrustDomainName(name: string): boolean {
  return name.length <= maxTrustDomainBytes && trustDomainPattern.test(name);
}

/** Whether the string may stand between two slashes of a SPIFFE ID's path (SPIFFE-ID §2.2). */
export function isPathSegment(segment: string): boolean {
  return segment !== '.' && segment !== '..' && segmentPattern.test(segment);
}

/** The SPIFFE ID with that exact spelling, or undefined. An ID without a path is a trust domain's own: not a workload's, so refused. */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (text.length > maxBytes || !text.startsWith('spiffe://')) return undefined;
  const [trustDomain = '', ...segments] = text.slice('spiffe://'.length).split('/');
  if (!isTrustDomainName(trustDomain) || segments.length === 0 || !segments.every(isPathSegment)) {
    return undefined;
  }
  return text as SpiffeId;
}

export function trustDomainOf(id: SpiffeId): string {
  const start = 'spiffe://'.length;
  return id.slice(start, id.indexOf('/', start));
}
