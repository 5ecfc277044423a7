/** What goes out to issuers: little, however many tokens come in and however many issuers there are. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { openFetchDocument } from '../../../src/adapters/net/fetch-document.ts';
import { openKeySets } from '../../../src/credentials/jwks.ts';
import { createVerifier } from '../../../src/credentials/verify.ts';
import { startIssuerDouble } from '../../support/issuer-double.ts';
import { jwksOf, makeKey, signToken, testNowMillis, times } from '../../support/tokens.ts';
import { credential, makeIssuer, ownIssuer, ownTrustDomain, trusting } from '../../support/tokens-policy.ts';

const tokenCount = 10_000;
const minuteMillis = 60_000;

async function openIssuer() {
  const key = await makeKey('k1');
  const double = await startIssuerDouble({ keys: jwksOf(key) });
  let now = testNowMillis;
  const keySets = openKeySets({ fetchDocument: openFetchDocument(), clock: { now: () => now } });
  onTestFinished(async () => {
    keySets.close();
    await double.close();
  });
  const policy = trusting(makeIssuer({ name: 'idp', issuerUrl: double.url }));
  keySets.prepare(policy);
  const verify = createVerifier({
    keySets,
    issuer: ownIssuer,
    trustDomain: ownTrustDomain,
    platforms: [],
    callPlatform: () => Promise.reject(new Error('nobody is to be called')),
    readTokenFile: () => Promise.reject(new Error('no file is to be read')),
  });
  const token = await signToken(key, { iss: double.url, sub: 'worker', aud: ownIssuer, ...times() });
  return {
    token,
    present: (text: string) => verify(credential(text), policy, testNowMillis),
    requests: () => double.count('/.well-known/openid-configuration') + double.count('/jwks'),
    pass: (millis: number) => {
      now += millis;
    },
  };
}

it('10,000 verifications of one issuer cost 2 requests', async () => {
  const { token, present, requests } = await openIssuer();
  for (let batch = 0; batch < 100; batch++) {
    await Promise.all(Array.from({ length: tokenCount / 100 }, () => present(token)));
  }
  expect(requests()).toBe(2);
});

it('10,000 tokens with unknown kids cost at most 1 request a minute', async () => {
  const { token, present, requests, pass } = await openIssuer();
  await present(token);
  const [, payload = '', signature = ''] = token.split('.');
  const flood = (minute: number, count: number) =>
    Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const header = JSON.stringify({ alg: 'ES256', typ: 'JWT', kid: `made-up-${minute}-${index}` });
        const forged = `${Buffer.from(header).toString('base64url')}.${payload}.${signature}`;
        await expect(present(forged)).rejects.toMatchObject({ reason: 'credential.key_unknown' });
      }),
    );
  await flood(0, tokenCount / 2);
  await flood(1, tokenCount / 2);
  expect(requests()).toBe(2 + 1);
  pass(minuteMillis);
  await flood(2, 100);
  expect(requests()).toBe(2 + 2);
});

it('a policy of 1,000 issuers is fetched 8 at once, and a token does not wait for its turn', async () => {
  let underWay = 0;
  let most = 0;
  const open = new Set<() => void>();
  const server = createServer((_request, response) => {
    most = Math.max(most, ++underWay);
    open.add(() => {
      underWay -= 1;
      response.end('{"keys":[]}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const answering = setInterval(() => {
    for (const answer of open) answer();
    open.clear();
  }, 1);
  const keySets = openKeySets({
    fetchDocument: openFetchDocument({ totalTimeoutMillis: 20_000 }),
    clock: { now: () => testNowMillis },
  });
  onTestFinished(() => {
    clearInterval(answering);
    keySets.close();
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const issuers = Array.from({ length: 1000 }, (_, index) =>
    makeIssuer({ name: `idp-${index}`, keys: { jwksUri: `http://127.0.0.1:${port}/${index}` } }),
  );
  keySets.prepare(trusting(...issuers));
  const last = issuers.at(-1) ?? makeIssuer({ name: 'none' });
  await keySets.keysFor(last).keys();
  expect(keySets.status().filter(({ state }) => state === 'pending').length).toBeGreaterThan(900);
  expect(most).toBeLessThanOrEqual(9); // the eight, and the one that a token waits for
  await vi.waitFor(() => expect(keySets.status().every(({ state }) => state === 'fresh')).toBe(true), 25_000);
  expect(most).toBeGreaterThanOrEqual(8);
  expect(most).toBeLessThanOrEqual(9);
});
