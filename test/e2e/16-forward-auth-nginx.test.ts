/** nginx in front of a service, by the very file of deploy/forward-auth: what reaches the service, and what its client gets. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { resourceMetadataUrl } from '../../src/core/policy/guarded-resource.ts';
import { athOf, makeProof } from '../support/dpop.ts';
import { makeAuthority } from '../support/issuer-double-tls.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { freePort } from '../support/processes.ts';
import { type RunningServer, startServer } from '../support/server.ts';
import { replaceAll } from '../support/shipped-file.ts';
import { lifetime } from '../support/story.ts';
import { type Issued, issue, leafExtensions, makeRoot, pemOf, rootJwk } from '../support/svid-authority.ts';
import { bundleOf, makeKey, makeSvid, type TestKey } from '../support/tokens.ts';

const example = readFileSync(new URL('../../deploy/forward-auth/nginx.conf', import.meta.url), 'utf8');
const orders = 'spiffe://prod.test/orders';
const forged = {
  'x-spiffe-id': 'spiffe://evil.test/admin',
  'X-SPIFFE-Trust-Domain': 'evil.test',
  'X-Auth-Method': 'evil',
  'X-Auth-Client-Id': 'evil',
  'X-Auth-Audience': 'evil',
  'X-Auth-Scope': 'evil',
  'X-Auth-Expires': 'evil',
  X_SPIFFE_Id: 'evil',
  'X-Original-Method': 'evil',
  'X-Original-URL': 'https://evil.test/',
  'ssl-client-verify': 'SUCCESS',
};

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let server: RunningServer;
let nginx: Nginx;
let service: Server;
let seen: Seen[] = [];
let ca: string;
let leaf: Issued;
let stranger: Issued;
let domainKey: TestKey;
let port: number;

beforeAll(async () => {
  port = await freePort();
  const root = await makeRoot(Date.now());
  leaf = await issue(Date.now(), root, { extensions: leafExtensions(orders) });
  stranger = await issue(Date.now(), root, { extensions: leafExtensions('spiffe://prod.test/stranger') });
  domainKey = await makeKey('domain');
  server = await startServer({
    policy: () => JSON.stringify(policyWith(root)),
    environment: { MINTMARK_TRUSTED_PROXIES: '127.0.0.1', MINTMARK_CLIENT_CERT_HEADER: 'nginx' },
  });
  service = createServer(async (incoming, outgoing) => {
    const { method, url, headers } = incoming;
    seen.push({ method, url, headers, body: await text(incoming) });
    outgoing.end('from the service');
  }).listen(0, '127.0.0.1');
  await once(service, 'listening');
  const authority = await makeAuthority();
  ca = authority.certificate;
  nginx = await startNginx({
    upstream: ({ folder }) =>
      replaceAll(example, {
        'server 127.0.0.1:8080': `server ${new URL(server.url).host}`,
        'server 127.0.0.1:9000': `server 127.0.0.1:${(service.address() as AddressInfo).port}`,
        'listen 443 ssl': `listen 127.0.0.1:${port} ssl`,
        'https://shop.example.com$request_uri': `https://localhost:${port}$request_uri`,
        'server_name shop.example.com': 'server_name localhost',
        '/etc/nginx/tls/cert.pem': `${folder}/cert.pem`,
        '/etc/nginx/tls/key.pem': `${folder}/key.pem`,
        '/etc/nginx/tls/spiffe-roots.pem': `${folder}/roots.pem`,
      }),
    server: await authority.issue('localhost'),
    clientRoots: root.certificate.toString('pem'),
    port,
  });
});
afterAll(async () => {
  await nginx?.close();
  service?.close();
  await server?.remove();
});

const document = (kind: string, name: string, spec: object) => ({
  apiVersion: 'mintmark/v1',
  kind,
  metadata: { name },
  spec,
});
const policyWith = (root: Issued) => [
  document('TrustDomain', 'prod.test', {
    bundle: { static: { keys: [rootJwk(root), ...bundleOf(domainKey).keys] } },
  }),
  document('Resource', 'shop', {
    audience: `https://localhost:${port}`,
    scopes: ['items:read', 'items:write'],
  }),
  document('Grant', 'orders', {
    subjects: [{ spiffeId: orders }],
    resource: 'shop',
    scopes: ['items:read', 'items:write'],
  }),
];

async function token(scope: string, headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(`${server.url}/oauth/token`, {
    method: 'POST',
    headers,
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
      client_assertion: await makeSvid(domainKey, orders, server.url, lifetime(300)),
      audience: `https://localhost:${port}`,
      scope,
    }),
  });
  const body: { access_token: string } = JSON.parse(await response.text());
  return body.access_token;
}

/** A proof of now, for a method and URL. */
function prove(key: TestKey, htm: string, url: string, claims: object = {}): Promise<string> {
  return makeProof(key, url, { htm, iat: Math.floor(Date.now() / 1000), ...claims });
}

async function boundToken(key: TestKey): Promise<string> {
  const endpoint = `${server.url}/oauth/token`;
  const first = await fetch(endpoint, {
    method: 'POST',
    headers: { dpop: await prove(key, 'POST', endpoint) },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
      client_assertion: await makeSvid(domainKey, orders, server.url, lifetime(300)),
    }),
  });
  const nonce = first.headers.get('dpop-nonce');
  return token('items:read', { dpop: await prove(key, 'POST', endpoint, { nonce }) });
}

async function call(
  path: string,
  headers: Record<string, string> = {},
  { method = 'GET', body = '', shown }: { method?: string; body?: string; shown?: Issued } = {},
) {
  seen = [];
  const pair = shown === undefined ? {} : await pemOf([shown]);
  const calling = request({
    host: '127.0.0.1',
    servername: 'localhost',
    port,
    path,
    method,
    headers: { host: `localhost:${port}`, 'content-length': Buffer.byteLength(body), ...headers },
    ca,
    agent: false,
    ...pair,
  });
  calling.end(body);
  const [response] = await once(calling, 'response');
  return {
    status: response.statusCode as number,
    challenge: response.headers['www-authenticate'] as string | undefined,
    body: await text(response),
  };
}

const metadata = () => `resource_metadata="https://localhost:${port}/.well-known/oauth-protected-resource"`;

describe('a service behind nginx', () => {
  test('is reached by nobody without a token, and the challenge says where tokens come from', async () => {
    const answer = await call('/orders', forged);
    expect(answer).toMatchObject({ status: 401, challenge: `Bearer ${metadata()}, scope="items:read"` });
    expect(seen).toEqual([]);
    const place = new URL(/resource_metadata="([^"]+)"/.exec(answer.challenge ?? '')?.[1] ?? '');
    const published = JSON.parse((await call(place.pathname)).body);
    expect(published).toMatchObject({
      resource: `https://localhost:${port}`,
      authorization_servers: [server.url],
    });
    expect(resourceMetadataUrl(published.resource)).toBe(place.href);
  });

  test('is reached by nobody whose token lacks the scope, or is none', async () => {
    expect(await call('/', { authorization: `Bearer ${await token('items:write')}` })).toMatchObject({
      status: 403,
      challenge: `Bearer ${metadata()}, scope="items:read", error="insufficient_scope"`,
    });
    expect(await call('/', { authorization: 'Bearer a.b.c' })).toMatchObject({
      status: 401,
      challenge: `Bearer ${metadata()}, scope="items:read", error="invalid_token"`,
    });
    expect(seen).toEqual([]);
  });

  test('is told who is calling by us alone', async () => {
    const authorization = `Bearer ${await token('items:read items:write')}`;
    const answer = await call('/orders?a=b', { ...forged, connection: 'close, X-SPIFFE-Id', authorization });
    expect(answer).toMatchObject({ status: 200, body: 'from the service' });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({
      method: 'GET',
      url: '/orders?a=b',
      headers: {
        'x-spiffe-id': orders,
        'x-spiffe-trust-domain': 'prod.test',
        'x-auth-method': 'token',
        'x-auth-client-id': orders,
        'x-auth-audience': `https://localhost:${port}`,
        'x-auth-scope': 'items:read items:write',
        'x-auth-expires': expect.stringMatching(/^\d{10}$/),
      },
    });
    const names = Object.keys(seen[0]?.headers ?? {});
    expect(names).not.toContain('authorization');
    expect(names).not.toContain('x_spiffe_id');
    for (const name of Object.keys(forged).filter((header) => /^x-(spiffe|auth)/i.test(header))) {
      expect(seen[0]?.headers[name.toLowerCase()]).not.toMatch(/evil/);
    }
  });

  test('gets a body whole, which we never see, and none from whoever may not pass', async () => {
    const headers = { authorization: `Bearer ${await token('items:read')}` };
    const body = 'x'.repeat(700_000);
    for (const method of ['POST', 'PUT', 'DELETE']) {
      expect(await call('/upload', headers, { method, body })).toMatchObject({ status: 200 });
      expect(seen[0]?.body).toBe(body);
    }
    expect(await call('/upload', {}, { method: 'POST', body: 'x'.repeat(70_000) })).toMatchObject({
      status: 401,
    });
    expect(seen).toEqual([]);
  });

  test('takes a client certificate in place of a token', async () => {
    expect(await call('/', forged, { shown: leaf })).toMatchObject({ status: 200 });
    expect(seen[0]?.headers).toMatchObject({
      'x-spiffe-id': orders,
      'x-auth-method': 'x509-svid',
      'x-auth-scope': 'items:read',
    });
    expect(await call('/', forged, { shown: stranger })).toMatchObject({ status: 403 });
    expect(seen).toEqual([]);
  });

  test('takes a bound token with a proof for the very request that nginx got, and once', async () => {
    const key = await makeKey('client');
    const bound = await boundToken(key);
    const ath = athOf(bound);
    const url = `https://localhost:${port}/orders`;
    const authorization = `DPoP ${bound}`;
    const dpop = await prove(key, 'POST', url, { ath });
    const good = await call('/orders?a=b', { ...forged, authorization, dpop }, { method: 'POST', body: 'x' });
    expect(good).toMatchObject({ status: 200 });
    expect(seen[0]).toMatchObject({ method: 'POST', headers: { 'x-spiffe-id': orders }, body: 'x' });
    expect(Object.keys(seen[0]?.headers ?? {})).not.toContain('dpop');
    const refusals: readonly [string, Record<string, string>][] = [
      ['sent again', { authorization, dpop }],
      ['as a bearer token', { authorization: `Bearer ${bound}` }],
      ['without a proof', { authorization }],
      ['of another key', { authorization, dpop: await prove(await makeKey('thief'), 'POST', url, { ath }) }],
      ['for another path', { authorization, dpop: await prove(key, 'POST', `${url}/7`, { ath }) }],
      ['for another method', { authorization, dpop: await prove(key, 'GET', url, { ath }) }],
      ['for another token', { authorization, dpop: await prove(key, 'POST', url, { ath: athOf('other') }) }],
    ];
    for (const [name, headers] of refusals) {
      const { status, challenge } = await call('/orders', { ...forged, ...headers }, { method: 'POST' });
      expect({ name, status, challenge }).toEqual({
        name,
        status: 401,
        challenge: expect.stringMatching(/^DPoP .*algs="/),
      });
      expect(seen).toEqual([]);
    }
  });

  test('stays shut while we are away', async () => {
    const authorization = `Bearer ${await token('items:read')}`;
    await server.stop();
    expect((await call('/', { authorization })).status).toBe(500);
    expect(seen).toEqual([]);
    await server.restart();
    expect(await call('/', { authorization })).toMatchObject({ status: 200 });
  });
});
