/** A restart of the whole server while an issuer and a trust domain are down. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { openHouse, postForm, type TestHouse, testIssuer } from '../../support/house.ts';
import { type IssuerDouble, startIssuerDouble } from '../../support/issuer-double.ts';
import { bundleOf, jwksOf, kubernetesClaims, makeSvid, signToken } from '../../support/tokens.ts';
import { orders, tellStory } from './story.ts';

async function send(house: TestHouse, token: string) {
  const { statusCode } = await postForm(house.app, {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    audience: 'alpha',
  });
  return statusCode;
}

/** Houses on data folders by name, of an issuer and a trust domain that can be taken down. */
async function tellRestarts() {
  const { clusterKey, domainKey, documents } = await tellStory();
  const double = await startIssuerDouble({ keys: jwksOf(clusterKey), bundle: bundleOf(domainKey) });
  const folder = mkdtempSync(join(tmpdir(), 'mintmark-restart-'));
  const houses: TestHouse[] = [];
  onTestFinished(async () => {
    for (const house of houses) await house.close();
    await double.close();
    rmSync(folder, { recursive: true });
  });
  const open = async (name: string, environment: Record<string, string> = {}) => {
    const house = await openHouse(
      documents.map((document) => fetched(document, double)),
      { MINTMARK_DATA_DIR: join(folder, name), ...environment },
    );
    houses.push(house);
    return house;
  };
  const tokens = [
    await signToken(clusterKey, kubernetesClaims(double.url, testIssuer)),
    await makeSvid(domainKey, orders, testIssuer),
  ];
  const statuses = (house: TestHouse) => Promise.all(tokens.map((token) => send(house, token)));

  const close = async () => {
    for (const house of houses.splice(0)) await house.close();
  };
  const before = await open('data');
  expect(await statuses(before)).toEqual([200, 200]);
  await vi.waitFor(() => expect(readdirSync(join(folder, 'data/key-cache'))).toHaveLength(2));
  const jwks = await keysOf(before);
  await close();
  double.fault = { kind: 'reset' };
  return { open, close, folder, statuses, jwks };
}

const keysOf = async (house: TestHouse) => (await house.app.inject('/.well-known/jwks.json')).body;

it('goes on serving their workloads, and a server without their keys does not', async () => {
  const { open, statuses } = await tellRestarts();
  expect(await statuses(await open('data'))).toEqual([200, 200]);
  expect(await statuses(await open('another'))).toEqual([503, 503]);
});

it('keeps its own keys and theirs while another key-encryption key takes the place of the one before', async () => {
  const { open, close, folder, statuses, jwks } = await tellRestarts();
  const next = randomBytes(32).toString('base64');
  const nextAlone = { MINTMARK_KEY_ENCRYPTION_KEY: next };
  await expect(open('data', nextAlone)).rejects.toThrow('MINTMARK_KEY_ENCRYPTION_KEY is not the one');
  const both = await open('data', {
    ...nextAlone,
    MINTMARK_PREVIOUS_KEY_ENCRYPTION_KEY_FILE: join(folder, 'data/key-encryption-key'),
  });
  expect(await keysOf(both)).toBe(jwks);
  expect(await statuses(both)).toEqual([200, 200]);
  expect(both.log()).toContain('no stored signing key needs MINTMARK_PREVIOUS_KEY_ENCRYPTION_KEY');
  await close();
  // What other issuers published was sealed by the process before: without its key it counts for nothing.
  const alone = await open('data', nextAlone);
  expect(await keysOf(alone)).toBe(jwks);
  expect(await statuses(alone)).toEqual([503, 503]);
  await close();
  await expect(open('data')).rejects.toThrow('MINTMARK_KEY_ENCRYPTION_KEY is not the one');
});

/** The same document with keys that are fetched from the double. */
function fetched(document: Awaited<ReturnType<typeof tellStory>>['documents'][number], double: IssuerDouble) {
  const { name } = document.metadata;
  if (document.kind === 'Issuer' && name === 'cluster') {
    return { ...document, spec: { ...document.spec, issuer: double.url, keys: { discovery: true } } };
  }
  if (document.kind !== 'TrustDomain') return document;
  return { ...document, spec: { bundle: { url: double.bundleUrl, profile: 'https_web' } } };
}
