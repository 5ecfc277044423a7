/** nginx as the place where TLS ends: the header that a real one writes, and what it makes of one that its client wrote. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeAuthority } from '../support/issuer-double-tls.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { type RunningServer, startServer } from '../support/server.ts';
import { type Issued, issue, leafExtensions, makeRoot, pemOf, rootJwk } from '../support/svid-authority.ts';
import { openTlsTo, postOver } from '../support/tls-client.ts';

const orders = 'spiffe://prod.test/orders';
const form = { grant_type: 'client_credentials', client_id: orders, audience: 'alpha' };

describe('nginx', () => {
  let server: RunningServer;
  let nginx: Nginx;
  let ca: string;
  let leaf: Issued;
  let forged: Issued;

  beforeAll(async () => {
    const now = Date.now();
    const root = await makeRoot(now);
    leaf = await issue(now, root, { extensions: leafExtensions(orders) });
    const stranger = await makeRoot(now, { name: 'CN=Stranger' });
    forged = await issue(now, stranger, { extensions: leafExtensions(orders) });
    server = await startServer({
      policy: () => JSON.stringify(policyWith(root)),
      environment: { MINTMARK_TRUSTED_PROXIES: '127.0.0.1', MINTMARK_CLIENT_CERT_HEADER: 'nginx' },
    });
    const authority = await makeAuthority();
    ca = authority.certificate;
    nginx = await startNginx({
      upstream: server.url,
      server: await authority.issue('localhost'),
      clientRoots: root.certificate.toString('pem'),
    });
  });
  afterAll(async () => {
    await nginx?.close();
    await server?.remove();
  });

  const post = async (shown: Issued | undefined, headers: Record<string, string> = {}) => {
    const pair = shown === undefined ? {} : await pemOf([shown]);
    return postOver(await openTlsTo(nginx.port, { ca, ...pair }), form, true, headers);
  };
  const reasonOf = async ({ body }: Awaited<ReturnType<typeof post>>) => {
    const response = await fetch(`${server.url}/admin/v1/audit-events/${body.request_id}`, {
      headers: { authorization: `Bearer ${server.adminToken()}` },
    });
    const event: { reason?: string } = JSON.parse(await response.text());
    return event.reason;
  };

  test('forwards an SVID, which gets its token', async () => {
    expect(await post(leaf)).toMatchObject({ status: 200, body: { token_type: 'Bearer' } });
  });

  test('forwards a certificate of another authority too, and says so: it gets none', async () => {
    const answer = await post(forged);
    expect(answer).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    expect(await reasonOf(answer)).toBe('request.certificate_header_unverified');
  });

  test('replaces what its client wrote into those headers', async () => {
    const spoofed = {
      'ssl-client-cert': encodeURIComponent(leaf.certificate.toString('pem')),
      'ssl-client-verify': 'SUCCESS',
    };
    expect(await reasonOf(await post(undefined, spoofed))).toBe('request.missing_parameter');
    expect(await reasonOf(await post(forged, spoofed))).toBe('request.certificate_header_unverified');
    expect(await post(leaf, spoofed)).toMatchObject({ status: 200 });
  });
});

const document = (kind: string, name: string, spec: object) => ({
  apiVersion: 'mintmark/v1',
  kind,
  metadata: { name },
  spec,
});

const policyWith = (root: Issued) => [
  document('TrustDomain', 'prod.test', { bundle: { static: { keys: [rootJwk(root)] } } }),
  document('Resource', 'alpha', { audience: 'alpha' }),
  document('Grant', 'orders', { subjects: [{ spiffeId: orders }], resource: 'alpha' }),
];
