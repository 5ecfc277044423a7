/** A restart of the whole server while an issuer and a trust domain are down. */
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

it('goes on serving their workloads, and a server without their keys does not', async () => {
  const { clusterKey, domainKey, documents } = await tellStory();
  const double = await startIssuerDouble({ keys: jwksOf(clusterKey), bundle: bundleOf(domainKey) });
  const folder = mkdtempSync(join(tmpdir(), 'mintmark-restart-'));
  const houses: TestHouse[] = [];
  onTestFinished(async () => {
    for (const house of houses) await house.close();
    await double.close();
    rmSync(folder, { recursive: true });
  });
  const open = async (name: string) => {
    const environment = { MINTMARK_DATA_DIR: join(folder, name) };
    const house = await openHouse(
      documents.map((document) => fetched(document, double)),
      environment,
    );
    houses.push(house);
    return house;
  };
  const tokens = [
    await signToken(clusterKey, kubernetesClaims(double.url, testIssuer)),
    await makeSvid(domainKey, orders, testIssuer),
  ];
  const statuses = (house: TestHouse) => Promise.all(tokens.map((token) => send(house, token)));

  const before = await open('data');
  expect(await statuses(before)).toEqual([200, 200]);
  await vi.waitFor(() => expect(readdirSync(join(folder, 'data/key-cache'))).toHaveLength(2));
  await before.close();
  houses.length = 0;

  double.fault = { kind: 'reset' };
  expect(await statuses(await open('data'))).toEqual([200, 200]);
  expect(await statuses(await open('another'))).toEqual([503, 503]);
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
