/** Reads a presigned GetCallerIdentity request. Five values of it are kept; the request that we send is made from those alone. */
import { z } from 'zod';
import { refuse } from '../../../core/error.ts';
import { type Region, regions } from './regions.ts';

export interface SignedRequest extends Region {
  readonly region: string;
  /** The access key id with its scope, `<id>/<date>/<region>/sts/aws4_request`. */
  readonly credential: string;
  /** `X-Amz-Date`, as it is signed. */
  readonly date: string;
  /** The same in seconds since the epoch. */
  readonly signedAt: number;
  readonly securityToken: string | undefined;
  readonly signature: string;
}

/** Signed with the request, so that a request made for another verifier is worth nothing here. */
export const audienceHeader = 'x-mintmark-audience';

const maxCredentialCharacters = 24 * 1024;
const maxAgeSeconds = 300;
const clockSkewSeconds = 30;

const constants = {
  Action: 'GetCallerIdentity',
  Version: '2011-06-15',
  'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
  'X-Amz-Expires': String(maxAgeSeconds),
  'X-Amz-SignedHeaders': `host;${audienceHeader}`,
} as const;
const variables = ['X-Amz-Credential', 'X-Amz-Date', 'X-Amz-Security-Token', 'X-Amz-Signature'];

const requestSchema = z.strictObject({
  url: z.string(),
  method: z.literal('GET'),
  headers: z.array(z.strictObject({ key: z.string(), value: z.string() })).max(2),
});

/**
 * Reads URL-encoded JSON `{url, method, headers: [{key, value}]}`. Throws `credential.malformed`,
 * `credential.platform_refused`, `credential.audience_mismatch`, `credential.too_old` or `credential.issued_in_future`.
 */
export function readSignedRequest(text: string, audience: string, nowMillis: number): SignedRequest {
  const request = requestSchema.safeParse(readJson(text));
  if (!request.success) {
    return refuse(
      'credential.malformed',
      'expected a GET request as url, method and headers, and nothing else',
    );
  }
  const { url, headers } = request.data;
  const [, host, query] = /^https:\/\/([a-z0-9.-]+)\/\?([\x21-\x22\x24-\x7e]+)$/.exec(url) ?? [];
  if (host === undefined || query === undefined) {
    return refuse('credential.malformed', 'url is not https://<host>/?<query>');
  }
  const parameters = readParameters(query);
  const parameter = (name: string) =>
    parameters.get(name) ?? refuse('credential.malformed', `${name} is missing`);
  for (const [name, value] of Object.entries(constants)) {
    if (parameter(name) !== value) refuse('credential.platform_refused', `${name} is not ${value}`);
  }
  const date = parameter('X-Amz-Date');
  const signedAt = readDate(date);
  const credential = parameter('X-Amz-Credential');
  const scope = /^[A-Z0-9]{16,128}\/([0-9]{8})\/([a-z0-9-]{1,32})\/sts\/aws4_request$/.exec(credential);
  if (scope === null || scope[1] !== date.slice(0, 8)) {
    return refuse(
      'credential.platform_refused',
      'the credential scope is not <date>/<region>/sts/aws4_request',
    );
  }
  const [, , region = ''] = scope;
  const place = regions.get(region) ?? refuse('credential.platform_refused', `no known region: "${region}"`);
  if (host !== place.host) {
    refuse('credential.platform_refused', `the host is not ${place.host}, the credential scope's own`);
  }
  checkHeaders(headers, host, audience);
  checkAge(signedAt, nowMillis);

  const signature = parameter('X-Amz-Signature');
  // One signature has one spelling here, or it could be used twice.
  if (!/^[0-9a-f]{64}$/.test(signature))
    refuse('credential.malformed', 'X-Amz-Signature is not lower-case hex');
  const securityToken = parameters.get('X-Amz-Security-Token');
  if (securityToken !== undefined && !/^[A-Za-z0-9+/=_-]{1,16384}$/.test(securityToken)) {
    refuse('credential.malformed', 'X-Amz-Security-Token is not base64');
  }
  return { ...place, region, credential, date, signedAt, securityToken, signature };
}

/** The query string of our own request: the same that was signed, if the caller signed what it should have. */
export function rebuiltQuery({ credential, date, securityToken, signature }: SignedRequest): string {
  const parameters: Record<string, string> = {
    ...constants,
    'X-Amz-Credential': credential,
    'X-Amz-Date': date,
    ...(securityToken === undefined ? {} : { 'X-Amz-Security-Token': securityToken }),
    'X-Amz-Signature': signature,
  };
  return Object.entries(parameters)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .sort()
    .join('&');
}

function readJson(text: string): unknown {
  if (text.length > maxCredentialCharacters) {
    refuse('credential.malformed', `expected at most ${maxCredentialCharacters} characters`);
  }
  try {
    return JSON.parse(decodeURIComponent(text));
  } catch {
    return refuse('credential.malformed', 'not URL-encoded JSON');
  }
}

/** Names are compared as they are spelt: another spelling of a known one is an unknown one. */
function readParameters(query: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const pair of query.split('&')) {
    const [name = '', encoded, ...rest] = pair.split('=');
    if (
      encoded === undefined ||
      rest.length > 0 ||
      (!Object.hasOwn(constants, name) && !variables.includes(name))
    ) {
      return refuse('credential.platform_refused', 'the query holds a parameter that it should not');
    }
    if (parameters.has(name)) return refuse('credential.platform_refused', `${name} is repeated`);
    try {
      parameters.set(name, decodeURIComponent(encoded));
    } catch {
      return refuse('credential.malformed', `${name} is not URL-encoded`);
    }
  }
  return parameters;
}

function checkHeaders(
  headers: readonly { readonly key: string; readonly value: string }[],
  host: string,
  audience: string,
): void {
  const byName = new Map(headers.map(({ key, value }) => [key.toLowerCase(), value]));
  if (
    byName.size !== headers.length ||
    [...byName.keys()].some((name) => name !== 'host' && name !== audienceHeader)
  ) {
    refuse('credential.platform_refused', `expected the headers host and ${audienceHeader}, each once`);
  }
  if ((byName.get('host') ?? host) !== host)
    refuse('credential.platform_refused', `the Host header is not ${host}`);
  // What we send is ours in any case; this only says early, and by name, what STS would call a wrong signature.
  if (byName.get(audienceHeader) !== audience) {
    refuse('credential.audience_mismatch', `${audienceHeader} is not "${audience}"`);
  }
}

/** `20261124T151100Z` in seconds since the epoch. */
function readDate(date: string): number {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/.exec(date) ?? [];
  const millis = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(millis) ? refuse('credential.malformed', 'X-Amz-Date is not a time') : millis / 1000;
}

function checkAge(signedAt: number, nowMillis: number): void {
  const ageSeconds = Math.round(nowMillis / 1000 - signedAt);
  if (ageSeconds > maxAgeSeconds) {
    refuse(
      'credential.too_old',
      `X-Amz-Date: expected at most ${maxAgeSeconds} s ago, actual ${ageSeconds} s`,
    );
  }
  if (ageSeconds < -clockSkewSeconds) {
    refuse(
      'credential.issued_in_future',
      `X-Amz-Date is ${-ageSeconds} s ahead, at most ${clockSkewSeconds} s`,
    );
  }
}
