/** Envoy's `x-forwarded-client-cert`: elements divided by commas, pairs by semicolons, values in quotes where they need them. */
import { hash } from 'node:crypto';
import { readEscapedPem } from './pem-certificates.ts';

/** By, URI and DNS repeat where a certificate has several; the others say one thing and stand once. */
const repeatable = new Set(['by', 'uri', 'dns']);
const known = new Set([...repeatable, 'hash', 'cert', 'chain', 'subject']);
/** One pair: a value in quotes with `\"` for a quote, or one without any sign that the grammar uses. */
const pair = /([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;=\s]*))(;|$)/y;

/**
 * DER, leaf first; undefined for anything but one well-formed element that holds a certificate. Envoy does not escape
 * what it writes of URI, DNS and By, so that a name can hold what looks like another element, and a proxy that appends
 * leaves in front what its caller wrote: hence one element, no tolerance, and nothing believed but a certificate.
 */
export function readXfcc(text: string): readonly Uint8Array[] | undefined {
  const pairs = readElement(text);
  const cert = pairs?.get('cert');
  const chain = pairs?.get('chain');
  const whole = chain ?? cert;
  const certificates = whole === undefined ? undefined : readEscapedPem(whole);
  const [leaf] = certificates ?? [];
  if (leaf === undefined) return undefined;
  if (chain === undefined && certificates?.length !== 1) return undefined;
  if (cert !== undefined) {
    const [alone, second] = readEscapedPem(cert) ?? [];
    if (alone === undefined || second !== undefined || Buffer.compare(alone, leaf) !== 0) return undefined;
  }
  const digest = pairs?.get('hash');
  if (digest !== undefined && digest.toLowerCase() !== hash('sha256', leaf, 'hex')) return undefined;
  return certificates;
}

function readElement(text: string): ReadonlyMap<string, string> | undefined {
  const pairs = new Map<string, string>();
  pair.lastIndex = 0;
  while (pair.lastIndex < text.length) {
    const [whole, name = '', quoted, bare = '', end] = pair.exec(text) ?? [];
    const key = name.toLowerCase();
    if (whole === undefined || !known.has(key)) return undefined;
    if (pairs.has(key) && !repeatable.has(key)) return undefined;
    pairs.set(key, quoted?.replace(/\\(.)/g, '$1') ?? bare);
    if (end === '') return pairs;
  }
  return undefined; // nothing at all, or a semicolon with nothing behind it
}
