/** Reads a compact JWS (RFC 7515 §7.1) strictly, before anything in it is believed. */
import { refuse } from '../core/error.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import { JsonRefused, parseStrictJson } from '../core/strict-json.ts';
import { echo } from './echo.ts';

/** A token as it was read: nothing in it is proven. */
export interface CompactJws {
  readonly header: JsonObject;
  readonly claims: JsonObject;
  readonly algorithm: string;
  readonly kid: string | undefined;
  readonly type: string | undefined;
  readonly token: string;
  /** What the signature covers. */
  readonly signingInput: string;
}

const maxTokenBytes = 16 * 1024;
const maxKidCharacters = 1024;
const lastCharacters = { 2: /[AQgw]$/, 3: /[AEIMQUYcgkosw048]$/ } as const;

/**
 * Header parameters that choose keys, change what is signed, or nest another token. Keys come from the registered issuer
 * alone (RFC 8725 §3.10), no extension is understood (RFC 7515 §4.1.11), and payloads are never compressed or nested.
 */
const refusedParameters = ['jku', 'jwk', 'x5u', 'x5c', 'crit', 'b64', 'zip', 'cty', 'enc'];

/**
 * Throws `credential.malformed`, `credential.header_refused` or `credential.algorithm_refused`. `allowed` is a header
 * parameter that a kind of token must have, though all others must not: a DPoP proof brings its `jwk`.
 */
export function readCompactJws(token: string, allowed?: 'jwk'): CompactJws {
  // Every character of a valid token is one byte, so the length in characters is enough.
  if (token.length > maxTokenBytes) {
    refuse('credential.malformed', `expected at most ${maxTokenBytes} bytes, actual ${token.length}`);
  }
  const parts = token.split('.', 6);
  const [headerPart, claimsPart, signaturePart] = parts;
  if (parts.length === 5) refuse('credential.malformed', 'an encrypted token (JWE) is not accepted');
  if (
    headerPart === undefined ||
    claimsPart === undefined ||
    signaturePart === undefined ||
    parts.length > 3
  ) {
    refuse('credential.malformed', 'expected three parts joined by dots');
  }
  const header = readObject(headerPart, 'header');
  for (const name of refusedParameters) {
    if (name !== allowed && Object.hasOwn(header, name)) {
      refuse('credential.header_refused', `the header parameter "${name}" is not accepted`);
    }
  }
  const { alg, kid, typ } = header;
  if (typeof alg !== 'string') refuse('credential.algorithm_refused', 'the header names no algorithm');
  if (alg.toLowerCase() === 'none') refuse('credential.algorithm_refused', 'the token is not signed');
  if (kid !== undefined && (typeof kid !== 'string' || kid === '' || kid.length > maxKidCharacters)) {
    refuse('credential.header_refused', 'kid is not a string of a sane length');
  }
  if (typ !== undefined && typeof typ !== 'string') refuse('credential.type_refused', 'typ is not a string');
  requireBase64url(signaturePart, 'signature');
  return {
    header,
    claims: readObject(claimsPart, 'payload'),
    algorithm: alg,
    kid,
    type: typ,
    token,
    signingInput: token.slice(0, headerPart.length + 1 + claimsPart.length),
  };
}

function readObject(part: string, what: string): JsonObject {
  requireBase64url(part, what);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(part, 'base64url'));
  } catch {
    refuse('credential.malformed', `the ${what} is not UTF-8`);
  }
  let value: unknown;
  try {
    value = parseStrictJson(text);
  } catch (error) {
    if (error instanceof JsonRefused) refuse('credential.malformed', `the ${what}: ${error.message}`);
    throw error;
  }
  if (!isJsonObject(value))
    refuse('credential.malformed', `the ${what} is ${echo(typeof value)}, not an object`);
  return value;
}

/** One token has one spelling: no padding, no other alphabet, no set bits beyond the last byte (RFC 4648 §3.5). */
function requireBase64url(part: string, what: string): void {
  if (!/^[A-Za-z0-9_-]+$/.test(part)) {
    refuse('credential.malformed', `the ${what} is empty or not base64url without padding`);
  }
  const remainder = part.length % 4;
  if (remainder === 1) refuse('credential.malformed', `the ${what} is cut short`);
  if ((remainder === 2 || remainder === 3) && !lastCharacters[remainder].test(part)) {
    refuse('credential.malformed', `the ${what} is not in canonical base64url`);
  }
}
