/** Traces of exchanges, as a collector gets them: which steps, which reasons, and nothing of what was shown. */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CollectorDouble, startCollectorDouble } from '../support/collector-double.ts';
import { openHouse, type TestHouse } from '../support/house.ts';
import { testNowMillis } from '../support/tokens.ts';
import { orders, tellStory } from './token/story.ts';

const callerTrace = '0af7651916cd43dd8448eb211c80319c';
const callerSpan = 'b7ad6b7169203331';

let story: Awaited<ReturnType<typeof tellStory>>;
let collector: CollectorDouble;
let house: TestHouse | undefined;
let svid: string;

beforeAll(async () => {
  story = await tellStory();
  svid = await story.svid(orders);
});
beforeEach(async () => {
  collector = await startCollectorDouble();
});
afterEach(async () => {
  await house?.close();
  await collector.close();
});

const open = async (environment: Record<string, string> = {}, more: readonly unknown[] = []) => {
  house = await openHouse([...story.documents, ...more], {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    ...environment,
  });
  return house;
};

const post = async (changed: Record<string, string> = {}, headers: Record<string, string> = {}) => {
  const response = await house?.app.inject({
    method: 'POST',
    url: '/oauth/token',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    payload: new URLSearchParams({
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
      client_assertion: svid,
      audience: 'alpha',
      ...changed,
    }).toString(),
  });
  return { status: response?.statusCode, requestId: String(response?.headers['x-request-id']) };
};

/** Closing sends what waits. */
const collected = async () => {
  await house?.close();
  house = undefined;
  return collector.spans;
};
const attributesOf = (span: { attributes: { key: string; value: { stringValue: string } }[] } | undefined) =>
  Object.fromEntries(span?.attributes.map(({ key, value }) => [key, value.stringValue]) ?? []);

describe('traces', () => {
  it('show the steps of an exchange in their order, under one root', async () => {
    await open();
    const { status, requestId } = await post();
    expect(status).toBe(200);
    const spans = await collected();
    expect(spans.map(({ name }) => name)).toEqual(['verify', 'decide', 'sign', 'record', 'exchange']);
    const root = spans.at(-1);
    expect(attributesOf(root)).toEqual({ 'mintmark.outcome': 'permitted', 'mintmark.request_id': requestId });
    expect(root?.parentSpanId).toBeUndefined();
    expect(root?.links).toBeUndefined();
    for (const span of spans.slice(0, -1)) {
      expect(span).toMatchObject({ traceId: root?.traceId, parentSpanId: root?.spanId, status: {} });
      expect(BigInt(span.startTimeUnixNano)).toBeLessThanOrEqual(BigInt(span.endTimeUnixNano));
      expect(BigInt(span.startTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(root?.startTimeUnixNano ?? 0));
    }
    expect(root?.startTimeUnixNano.slice(0, 13)).toBe(String(testNowMillis));
  });

  it('show who signs a JWT-SVID as they show it of an access token', async () => {
    const document = (kind: string, spec: object) => ({
      apiVersion: 'mintmark/v1',
      kind,
      metadata: { name: 'mesh' },
      spec,
    });
    await open({}, [
      document('Resource', { audience: 'mesh', tokenFormats: ['jwt-svid'] }),
      document('Grant', { subjects: [{ issuer: 'cluster' }], resource: 'mesh' }),
    ]);
    const asked = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      client_assertion: '',
      subject_token: await story.platformToken(),
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      requested_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      audience: 'mesh',
    };
    expect((await post(asked)).status).toBe(200);
    const spans = await collected();
    expect(spans.map(({ name }) => name)).toEqual(['verify', 'decide', 'sign', 'record', 'exchange']);
  });

  it('say where a refusal was made, and its reason', async () => {
    await open();
    expect((await post({ audience: 'nowhere' })).status).toBe(400);
    expect((await post({ client_assertion: `${svid.slice(0, -8)}AAAAAAAA` })).status).toBe(401);
    const spans = await collected();
    expect(spans.map(({ name }) => name)).toEqual([
      ...['verify', 'decide', 'record', 'exchange'],
      ...['verify', 'record', 'exchange'],
    ]);
    expect(attributesOf(spans[3])).toMatchObject({
      'mintmark.outcome': 'refused',
      'mintmark.reason': 'policy.unknown_resource',
    });
    expect(attributesOf(spans[4])).toEqual({ 'mintmark.reason': 'credential.signature_invalid' });
    expect(attributesOf(spans[6])).toMatchObject({ 'mintmark.reason': 'credential.signature_invalid' });
    expect(spans[6]?.status).toEqual({ code: 2 });
  });

  it('link to the trace of the caller, and never join it', async () => {
    await open();
    await post({}, { traceparent: `00-${callerTrace}-${callerSpan}-01` });
    await post({}, { traceparent: `00-${'0'.repeat(32)}-${callerSpan}-01` });
    await post({}, { traceparent: `00-${callerTrace}-${callerSpan}-01, x` });
    const roots = (await collected()).filter(({ name }) => name === 'exchange');
    expect(roots.map(({ links }) => links)).toEqual([
      [{ traceId: callerTrace, spanId: callerSpan }],
      undefined,
      undefined,
    ]);
    for (const { traceId } of roots) expect(traceId).not.toBe(callerTrace);
  });

  it('hold no token, claim or identity', async () => {
    await open();
    await post();
    await post({ audience: 'canary-audience' });
    await collected();
    expect(collector.text()).toContain('mintmark.request_id');
    for (const secret of [svid, svid.slice(0, 40), orders, 'canary-audience', 'alpha']) {
      expect(collector.text()).not.toContain(secret);
    }
  });

  it('are made of the share that is asked for, and of none without a collector', async () => {
    await open({ OTEL_TRACES_SAMPLER_ARG: '0' });
    expect((await post({}, { traceparent: `00-${callerTrace}-${callerSpan}-01` })).status).toBe(200);
    expect(await collected()).toEqual([]);
    await open({ OTEL_EXPORTER_OTLP_ENDPOINT: '' });
    expect((await post()).status).toBe(200);
    expect(await collected()).toEqual([]);
  });

  it('are lost, and said to be, where the collector does not take them; tokens are issued all the same', async () => {
    const { log } = await open();
    collector.status = 503;
    expect((await post()).status).toBe(200);
    expect(await collected()).toEqual([]);
    expect(log()).toContain('traces were not taken');
    expect(log()).toContain('"lost":5');
  });
});
