/** X.509-SVIDs in the TLS handshake: real sockets, real certificates, each request judged anew. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openHouse, type TestHouse } from '../../support/house.ts';
import { makeAuthority } from '../../support/issuer-double-tls.ts';
import {
  type Issued,
  issue,
  leafExtensions,
  makeRoot,
  pemOf,
  rootJwk,
  signerExtensions,
} from '../../support/svid-authority.ts';
import { openTls, postOver } from '../../support/tls-client.ts';
import { bundleOf, testNowMillis as now } from '../../support/tokens.ts';
import { orders, tellStory } from './story.ts';

const folder = mkdtempSync(join(tmpdir(), 'mintmark-tls-'));
const ownTls = () => ({
  MINTMARK_TLS_CERT: join(folder, 'cert.pem'),
  MINTMARK_TLS_KEY: join(folder, 'key.pem'),
});
const form = { grant_type: 'client_credentials', client_id: orders, audience: 'alpha' };
let house: TestHouse;
let documents: readonly object[];
let story: Awaited<ReturnType<typeof tellStory>>;
let root: Issued;
let otherRoot: Issued;
let middle: Issued;
let leaf: Issued;
let ca: string;

beforeAll(async () => {
  const server = await makeAuthority();
  ca = server.certificate;
  const pair = await server.issue('localhost');
  writeFileSync(join(folder, 'cert.pem'), pair.cert);
  writeFileSync(join(folder, 'key.pem'), pair.key);
  story = await tellStory();
  [root, otherRoot] = await Promise.all([makeRoot(now), makeRoot(now, { name: 'CN=Other root' })]);
  middle = await issue(now, root, { name: 'CN=Middle', extensions: signerExtensions });
  leaf = await issue(now, middle, { extensions: leafExtensions(orders), notAfter: now + 90_000 });
  const domain = (name: string, ...keys: readonly object[]) => ({
    apiVersion: 'mintmark/v1',
    kind: 'TrustDomain',
    metadata: { name },
    spec: { bundle: { static: { keys } } },
  });
  documents = [
    ...story.documents.filter(({ kind }) => kind !== 'TrustDomain'),
    domain('prod.test', ...bundleOf(story.domainKey).keys, rootJwk(root)), // one bundle for both kinds of SVID
    domain('other.test', rootJwk(otherRoot)),
  ];
  house = await openHouse(documents, ownTls());
  await house.app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await house.close();
  rmSync(folder, { recursive: true });
});

const showing = async (...chain: readonly Issued[]) => ({
  ca,
  ...(chain.length === 0 ? {} : await pemOf(chain)),
});
const post = async (chain: readonly Issued[], parameters: Record<string, string>) =>
  postOver(await openTls(house.app, await showing(...chain)), parameters);

async function expectRefusal(
  answer: Awaited<ReturnType<typeof post>>,
  reason: string,
  error = 'invalid_client',
) {
  expect(answer.body).toMatchObject({ error });
  const event = await house.eventOf(String(answer.body.request_id));
  expect(event).toMatchObject({ reason });
  return event;
}

describe('client_credentials with a client certificate', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'gives a token over %s, no longer than the certificate',
    async (version) => {
      const options = { ...(await showing(leaf, middle)), minVersion: version, maxVersion: version };
      const { status, body } = await postOver(await openTls(house.app, options), form);
      expect([status, body]).toMatchObject([200, { expires_in: 90 }]);
      expect(decodeJwt(String(body.access_token))).toMatchObject({ sub: orders, client_id: orders });
    },
  );

  it('is recorded with its lane, its kind and the hash of the leaf', async () => {
    const answer = await post([leaf, middle], { ...form, scope: 'nothing' });
    expect(await expectRefusal(answer, 'policy.scope_not_permitted', 'invalid_scope')).toMatchObject({
      lane: 'client_certificate',
      credential_kind: 'x509-svid',
      trust_domain: 'prod.test',
      identity: orders,
      credential_hash: createHash('sha256').update(leaf.der).digest('base64url'),
    });
  });

  it('is refused without client_id, or with another’s', async () => {
    const { client_id: _id, ...nameless } = form;
    await expectRefusal(await post([leaf, middle], nameless), 'request.missing_parameter', 'invalid_request');
    await expectRefusal(
      await post([leaf, middle], { ...form, client_id: `${orders}-2` }),
      'request.client_id_mismatch',
    );
  });

  it('is refused without a certificate', async () => {
    await expectRefusal(await post([], form), 'request.missing_parameter', 'invalid_request');
  });

  it('is refused without the intermediate, or under another trust domain’s authority', async () => {
    await expectRefusal(await post([leaf], form), 'credential.certificate_untrusted');
    const forged = await issue(now, otherRoot, { extensions: leafExtensions(orders) });
    await expectRefusal(await post([forged], form), 'credential.certificate_untrusted');
    await expectRefusal(await post([forged, otherRoot], form), 'credential.certificate_untrusted');
  });

  it('is judged at each request of one connection, and ends with the certificate', async () => {
    const socket = await openTls(house.app, await showing(leaf, middle));
    expect(await postOver(socket, form, false)).toMatchObject({ status: 200 });
    house.clock.set(now + 90_000);
    try {
      await expectRefusal(await postOver(socket, form), 'credential.certificate_expired');
    } finally {
      house.clock.set(now);
    }
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'proves its key anew where the client would resume over %s',
    async (version) => {
      const options = { ...(await showing(leaf, middle)), minVersion: version, maxVersion: version };
      const first = await openTls(house.app, options);
      let session: Buffer | undefined = first.getSession();
      first.on('session', (ticket) => {
        session = ticket;
      });
      expect(await postOver(first, form)).toMatchObject({ status: 200 });
      const second = await openTls(house.app, { ...options, ...(session && { session }) });
      expect(second.isSessionReused()).toBe(false);
      expect(await postOver(second, form)).toMatchObject({ status: 200 });
      const thief = await openTls(house.app, {
        ca,
        minVersion: version,
        maxVersion: version,
        ...(session && { session }),
      });
      await expectRefusal(await postOver(thief, form), 'request.missing_parameter', 'invalid_request');
    },
  );
});

describe('a client certificate beside another credential', () => {
  it('is not a second authentication', async () => {
    const stranger = await issue(now, undefined, { extensions: leafExtensions(orders) });
    const asserted = {
      ...form,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
      client_assertion: await story.svid(),
    };
    for (const chain of [[leaf, middle], [stranger], []]) {
      expect(await post(chain, asserted)).toMatchObject({ status: 200 });
    }
  });
});

describe('a certificate of a trusted proxy', () => {
  it('is the proxy’s own, and not that of the client whose request it forwards', async () => {
    const behind = await openHouse(documents, { ...ownTls(), MINTMARK_TRUSTED_PROXIES: '127.0.0.1' });
    await behind.app.listen({ host: '127.0.0.1', port: 0 });
    const socket = await openTls(behind.app, await showing(leaf, middle));
    const { body } = await postOver(socket, form);
    expect(await behind.eventOf(String(body.request_id))).toMatchObject({
      reason: 'request.missing_parameter',
    });
    await behind.close();
  });
});

describe('the metadata', () => {
  it('names spiffe_x509 where client certificates are taken, and only there', async () => {
    const url = '/.well-known/oauth-authorization-server';
    const methods = 'token_endpoint_auth_methods_supported';
    expect((await house.app.inject({ url })).json()[methods]).toContain('spiffe_x509');
    const plain = await openHouse([]);
    expect((await plain.app.inject({ url })).json()[methods]).not.toContain('spiffe_x509');
    await plain.close();
  });
});
