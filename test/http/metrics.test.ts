import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openHouse, postForm, type TestHouse } from '../support/house.ts';
import { testNowSeconds } from '../support/tokens.ts';
import { orders, tellStory } from './token/story.ts';

let house: TestHouse;
let story: Awaited<ReturnType<typeof tellStory>>;
beforeAll(async () => {
  story = await tellStory();
  house = await openHouse(story.documents);
});
afterAll(() => house.close());

const scrape = async () => {
  const response = await house.app.inject('/metrics');
  expect(response.statusCode).toBe(200);
  expect(response.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(response.headers['cache-control']).toBe('no-store');
  return response.body;
};

const reading = (text: string, series: string) => {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
};

describe('GET /metrics', () => {
  it('counts what was issued, and what was refused by its reason', async () => {
    const before = await scrape();
    const svid = await story.svid(orders);
    const form = {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
      client_assertion: svid,
      audience: 'alpha',
    };
    expect((await postForm(house.app, form)).statusCode).toBe(200);
    expect((await postForm(house.app, form)).statusCode).toBe(200);
    expect((await postForm(house.app, { ...form, audience: 'canary-audience' })).statusCode).toBe(400);
    const after = await scrape();
    const grown = (series: string) => (reading(after, series) ?? 0) - (reading(before, series) ?? 0);
    expect(grown('mintmark_exchanges_total{outcome="permitted",reason=""}')).toBe(2);
    expect(grown('mintmark_exchanges_total{outcome="refused",reason="policy.unknown_resource"}')).toBe(1);
    expect(grown('mintmark_exchange_duration_seconds_count{outcome="permitted"}')).toBe(2);
    expect(reading(after, 'mintmark_exchanges_in_flight')).toBe(0);
    // Labels are never a caller's words.
    expect(after).not.toContain('canary-audience');
    expect(after).not.toContain(orders);
    expect(after).not.toContain(svid);
  });

  it('tells the ages of keys, and which revision is in force', async () => {
    house.clock.set((testNowSeconds + 60) * 1000);
    const text = await scrape();
    expect(reading(text, 'mintmark_policy_revision')).toBe(1);
    expect(reading(text, 'mintmark_signing_key_age_seconds{algorithm="ES256"}')).toBe(60);
    expect(reading(text, 'mintmark_key_source_usable{kind="TrustDomain",name="prod.test"}')).toBe(1);
    expect(reading(text, 'mintmark_revocations_age_seconds')).toBe(60);
    expect(reading(text, 'process_resident_memory_bytes')).toBeGreaterThan(1e6);
    expect(text).not.toContain('mintmark_audit_spool'); // the embedded store has none
  });

  it('reads no query, and is read by GET alone', async () => {
    expect((await house.app.inject('/metrics?name[]=x')).statusCode).toBe(200);
    expect((await house.app.inject({ method: 'POST', url: '/metrics' })).statusCode).toBe(404);
  });
});
