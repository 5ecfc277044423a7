/** AWS Signature Version 4 of one kind of request: a GET whose signature is in its query ("presigned"). */
import { createHash, createHmac } from 'node:crypto';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Absent for a user's long-lived key. */
  readonly sessionToken?: string;
}

export interface PresignOptions {
  readonly region: string;
  readonly service: string;
  /** All are signed; lower-case names, `host` among them, and values without spaces at either end or two in a row. */
  readonly headers: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly expiresSeconds: number;
  readonly nowMillis: number;
}

/** The URL of `https://<host>/` with its signature. */
export function presign(credentials: AwsCredentials, options: PresignOptions): string {
  const { region, service, headers, query, expiresSeconds, nowMillis } = options;
  const time = new Date(nowMillis).toISOString().replace(/[:-]|\.\d+/g, '');
  const day = time.slice(0, 8);
  const scope = `${day}/${region}/${service}/aws4_request`;
  const names = Object.keys(headers).sort();
  const signedQuery = canonicalQuery({
    ...query,
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${credentials.accessKeyId}/${scope}`,
    'X-Amz-Date': time,
    'X-Amz-Expires': String(expiresSeconds),
    ...(credentials.sessionToken === undefined ? {} : { 'X-Amz-Security-Token': credentials.sessionToken }),
    'X-Amz-SignedHeaders': names.join(';'),
  });
  const canonicalHeaders = names.map((name) => `${name}:${headers[name]}\n`).join('');
  const canonicalRequest = ['GET', '/', signedQuery, canonicalHeaders, names.join(';'), sha256('')].join(
    '\n',
  );
  const signingKey = [day, region, service, 'aws4_request'].reduce<string | Buffer>(
    hmac,
    `AWS4${credentials.secretAccessKey}`,
  );
  const text = ['AWS4-HMAC-SHA256', time, scope, sha256(canonicalRequest)].join('\n');
  return `https://${headers.host}/?${signedQuery}&X-Amz-Signature=${hmac(signingKey, text).toString('hex')}`;
}

/** Sorted by the bytes of the name; everything but RFC 3986's unreserved characters is escaped. */
function canonicalQuery(query: Readonly<Record<string, string>>): string {
  return Object.entries(query)
    .map(([name, value]) => `${escaped(name)}=${escaped(value)}`)
    .sort()
    .join('&');
}

function escaped(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
