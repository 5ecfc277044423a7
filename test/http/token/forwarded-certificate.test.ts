/** Client certificates that a proxy forwards: each kind of header from a trusted hop, and the same from anybody else. */
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { athOf } from '../../support/dpop.ts';
import { openHouse, type TestHouse, testIssuer } from '../../support/house.ts';
import {
  type Issued,
  issue,
  leafExtensions,
  makeRoot,
  rootJwk,
  signerExtensions,
} from '../../support/svid-authority.ts';
import { testNowMillis as now } from '../../support/tokens.ts';
import { orders, tellStory } from './story.ts';

type Headers = Record<string, string | string[]>;
const proxy = '10.9.0.1';
const form = { grant_type: 'client_credentials', client_id: orders, audience: 'alpha' };
const kinds = ['client-cert', 'xfcc', 'nginx', 'alb'] as const;
const houses = new Map<string, TestHouse>();
let leaf: Issued; // issued by the root itself
let deep: Issued; // issued by the intermediate
let middle: Issued;
let forged: Issued;
let expired: Issued;

beforeAll(async () => {
  const story = await tellStory();
  const root = await makeRoot(now);
  const shown = { extensions: leafExtensions(orders) };
  middle = await issue(now, root, { name: 'CN=Middle', extensions: signerExtensions });
  leaf = await issue(now, root, shown);
  deep = await issue(now, middle, shown);
  forged = await issue(now, await makeRoot(now), shown);
  expired = await issue(now, root, { ...shown, notAfter: now - 1000 });
  const domain = {
    apiVersion: 'mintmark/v1',
    kind: 'TrustDomain',
    metadata: { name: 'prod.test' },
    spec: { bundle: { static: { keys: [rootJwk(root)] } } },
  };
  const adminGrant = {
    apiVersion: 'mintmark/v1',
    kind: 'Grant',
    metadata: { name: 'orders-admin' },
    spec: { subjects: [{ spiffeId: orders }], resource: 'mintmark-admin', scopes: ['status:read'] },
  };
  const documents = [...story.documents.filter(({ kind }) => kind !== 'TrustDomain'), domain, adminGrant];
  for (const kind of kinds) {
    const environment = { MINTMARK_TRUSTED_PROXIES: '10.9.0.0/24', MINTMARK_CLIENT_CERT_HEADER: kind };
    houses.set(kind, await openHouse(documents, environment));
  }
});
afterAll(async () => {
  for (const house of houses.values()) await house.close();
});

const sequence = ({ der }: Issued) => `:${Buffer.from(der).toString('base64')}:`;
const escaped = (...chain: readonly Issued[]) =>
  encodeURIComponent(chain.map(({ certificate }) => `${certificate.toString('pem')}\n`).join(''));
/** As AWS does it: + = / stay as they are. */
const halfEscaped = (...chain: readonly Issued[]) =>
  escaped(...chain).replace(/%(2B|3D|2F)/g, (code) => decodeURIComponent(code));

const headersOf = {
  'client-cert': (end: Issued): Headers => ({ 'Client-Cert': sequence(end) }),
  xfcc: (end: Issued): Headers => ({ 'X-Forwarded-Client-Cert': `By=spiffe://a/b;Cert="${escaped(end)}"` }),
  nginx: (end: Issued): Headers => ({ 'ssl-client-cert': escaped(end), 'ssl-client-verify': 'SUCCESS' }),
  alb: (end: Issued): Headers => ({ 'X-Amzn-Mtls-Clientcert-Leaf': halfEscaped(end) }),
};

async function post(kind: string, headers: Headers, remoteAddress = proxy, parameters: object = form) {
  const house = houses.get(kind);
  if (house === undefined) throw new Error(`no house for ${kind}`);
  const response = await house.app.inject({
    method: 'POST',
    url: '/oauth/token',
    remoteAddress,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    payload: new URLSearchParams({ ...parameters }).toString(),
  });
  const body = response.json();
  if (response.statusCode === 200) return { status: 200 };
  const { reason } = await house.eventOf(body.request_id);
  return { status: response.statusCode, error: body.error, reason };
}

describe.each(kinds)('%s', (kind) => {
  const headers = headersOf[kind];

  it('gives a token when a trusted proxy forwards the certificate', async () => {
    expect(await post(kind, headers(leaf))).toEqual({ status: 200 });
    expect(await post(kind, headers(leaf), `::ffff:${proxy}`)).toEqual({ status: 200 });
  });

  it('binds the token, which the admin API takes from that proxy and with that certificate alone', async () => {
    const { app, eventOf } = houses.get(kind) ?? expect.unreachable();
    const asked = await app.inject({
      method: 'POST',
      url: '/oauth/token',
      remoteAddress: proxy,
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers(leaf) },
      payload: new URLSearchParams({
        ...form,
        audience: `${testIssuer}/admin/v1`,
        scope: 'status:read',
      }).toString(),
    });
    const token: string = asked.json().access_token;
    expect(decodeJwt(token).cnf).toEqual({ 'x5t#S256': athOf(leaf.der) });
    const status = (shown: Headers, remoteAddress = proxy) =>
      app.inject({
        url: '/admin/v1/status',
        remoteAddress,
        headers: { authorization: `Bearer ${token}`, ...shown },
      });
    expect((await status(headers(leaf))).statusCode).toBe(200);
    const refusals: readonly [string, Awaited<ReturnType<typeof status>>][] = [
      ['token.binding_missing', await status({})],
      ['token.binding_mismatch', await status(headers(deep))],
      ['request.certificate_header_untrusted', await status(headers(leaf), '10.8.0.1')],
    ];
    for (const [reason, response] of refusals) {
      expect(response.statusCode).toBe(401);
      expect(await eventOf(response.json().request_id)).toMatchObject({ reason });
    }
  });

  it('is refused and recorded from any other address, whatever the request holds besides', async () => {
    const refused = { error: 'invalid_request', reason: 'request.certificate_header_untrusted' };
    expect(await post(kind, headers(leaf), '10.8.0.1')).toMatchObject(refused);
    const bearer = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: 'x' };
    expect(await post(kind, headers(leaf), '10.8.0.1', bearer)).toMatchObject(refused);
    const forwardedFor = { ...headers(leaf), 'x-forwarded-for': proxy };
    expect(await post(kind, forwardedFor, '10.8.0.1')).toMatchObject(refused);
  });

  it('is validated here, whoever forwards it', async () => {
    expect(await post(kind, headers(forged))).toMatchObject({
      error: 'invalid_client',
      reason: 'credential.certificate_signature_invalid',
    });
    expect(await post(kind, headers(expired))).toMatchObject({ reason: 'credential.certificate_expired' });
  });

  it('is refused when a header is there twice', async () => {
    for (const [name, value] of Object.entries(headers(leaf))) {
      expect(await post(kind, { ...headers(leaf), [name]: [String(value), String(value)] })).toMatchObject({
        reason: 'request.certificate_header_repeated',
      });
    }
  });

  it('is refused when it cannot be read, and other proxies’ headers are not read', async () => {
    const [name = ''] = Object.keys(headers(leaf));
    expect(await post(kind, { ...headers(leaf), [name]: 'x' })).toMatchObject({
      error: 'invalid_request',
      reason: 'request.certificate_header_malformed',
    });
    const others = kinds.filter((other) => other !== kind).map((other) => headersOf[other](leaf));
    expect(await post(kind, Object.assign({}, ...others))).toMatchObject({
      reason: 'request.missing_parameter',
    });
    expect(await post(kind, { ...headers(leaf), ...Object.assign({}, ...others) })).toEqual({ status: 200 });
  });
});

describe('intermediates', () => {
  it.each<[string, () => Headers]>([
    ['client-cert', () => ({ 'client-cert': sequence(deep), 'client-cert-chain': ` ${sequence(middle)} ` })],
    [
      'client-cert',
      () => ({
        'client-cert': sequence(deep),
        'client-cert-chain': `${sequence(middle)}, ${sequence(leaf)}`,
      }),
    ],
    ['xfcc', () => ({ 'x-forwarded-client-cert': `Chain="${escaped(deep, middle)}"` })],
    ['alb', () => ({ 'x-amzn-mtls-clientcert': halfEscaped(deep, middle) })],
  ])('come with %s', async (kind, headers) => {
    expect(await post(kind, headersOf[kind as 'xfcc'](deep))).toMatchObject({
      reason: 'credential.certificate_untrusted',
    });
    expect(await post(kind, headers())).toEqual({ status: 200 });
  });
});

describe('what only one proxy writes', () => {
  const malformed = 'request.certificate_header_malformed';
  it.each<[string, string, () => Headers, string]>([
    ['a chain without a leaf', 'client-cert', () => ({ 'client-cert-chain': sequence(leaf) }), malformed],
    ['parameters', 'client-cert', () => ({ 'client-cert': `${sequence(leaf)};a=1` }), malformed],
    [
      'two leaves',
      'client-cert',
      () => ({ 'client-cert': `${sequence(leaf)}, ${sequence(leaf)}` }),
      malformed,
    ],
    [
      'a gap in the chain',
      'client-cert',
      () => ({ 'client-cert': sequence(leaf), 'client-cert-chain': `${sequence(middle)},` }),
      malformed,
    ],
    ['base64url', 'client-cert', () => ({ 'client-cert': ':-_-_:' }), malformed],
    ['padding left out', 'client-cert', () => ({ 'client-cert': ':AAA:' }), malformed],
    [
      'a failed check',
      'nginx',
      () => ({ ...headersOf.nginx(leaf), 'ssl-client-verify': 'FAILED:self-signed certificate' }),
      'request.certificate_header_unverified',
    ],
    [
      'no check',
      'nginx',
      () => ({ 'ssl-client-cert': escaped(leaf) }),
      'request.certificate_header_unverified',
    ],
    [
      'a certificate that nginx did not see',
      'nginx',
      () => ({ ...headersOf.nginx(leaf), 'ssl-client-verify': 'NONE' }),
      'request.certificate_header_unverified',
    ],
    [
      'a check in other letters',
      'nginx',
      () => ({ ...headersOf.nginx(leaf), 'ssl-client-verify': 'success' }),
      'request.certificate_header_unverified',
    ],
    ['success without a certificate', 'nginx', () => ({ 'ssl-client-verify': 'SUCCESS' }), malformed],
    ['no certificate', 'nginx', () => ({ 'ssl-client-verify': 'NONE' }), 'request.missing_parameter'],
    [
      'both modes',
      'alb',
      () => ({ ...headersOf.alb(leaf), 'x-amzn-mtls-clientcert': halfEscaped(leaf) }),
      malformed,
    ],
    ['two leaves', 'alb', () => ({ 'x-amzn-mtls-clientcert-leaf': halfEscaped(leaf, middle) }), malformed],
    ['a name alone', 'xfcc', () => ({ 'x-forwarded-client-cert': `URI=${orders}` }), malformed],
  ])('%s in %s is refused', async (_what, kind, headers, reason) => {
    expect(await post(kind, headers())).toMatchObject({ reason });
  });
});
