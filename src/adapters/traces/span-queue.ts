/** Spans that wait for the collector: bounded, sent in batches, and lost rather than waited for. */

export interface SpanQueueOptions {
  /** The base URL; `/v1/traces` is added, as OTEL_EXPORTER_OTLP_ENDPOINT says. */
  readonly endpoint: string;
  readonly version: string;
  /** Told of spans that were lost, and why. */
  readonly log: (message: string, details: object) => void;
}

export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  /** OTLP's SpanKind. */
  readonly kind: number;
  /** Nanoseconds since the epoch. */
  readonly from: bigint;
  readonly to: bigint;
  readonly outcome?: string | undefined;
  readonly reason?: string | undefined;
  readonly requestId?: string | undefined;
  /** What the caller says it belongs to; only a link, since anybody may say so. */
  readonly link?: { readonly traceId: string; readonly spanId: string } | undefined;
}

export interface SpanQueue {
  add(span: Span): void;
  close(): Promise<void>;
}

const maxWaiting = 4_096;
const batchSize = 512;
const flushMillis = 2_000;
const sendTimeoutMillis = 3_000;
const errorStatus = 2;

export function openSpanQueue({ endpoint, version, log }: SpanQueueOptions): SpanQueue {
  const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`;
  let waiting: Span[] = [];
  let lost = 0;
  let sending: Promise<void> | undefined;

  const send = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, batchSize);
      waiting = waiting.slice(batchSize);
      try {
        await post(url, requestOf(batch, version));
        if (lost > 0) log('more traces came than could be sent', { lost });
      } catch (error) {
        lost += batch.length + waiting.length; // not tried again: the next are as good
        waiting = [];
        log('traces were not taken', { lost, err: error });
      }
      lost = 0;
    }
  };
  const flush = () => {
    sending ??= send().finally(() => {
      sending = undefined;
    });
    return sending;
  };
  const timer = setInterval(flush, flushMillis).unref();

  return {
    add: (span) => {
      if (waiting.length >= maxWaiting) {
        lost += 1;
        return;
      }
      waiting.push(span);
      if (waiting.length === batchSize) void flush();
    },
    close: async () => {
      clearInterval(timer);
      await flush();
      await flush(); // what came while the first was under way
    },
  };
}

async function post(url: string, body: object): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    redirect: 'error',
    signal: AbortSignal.timeout(sendTimeoutMillis),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`the collector answered ${response.status}`);
}

/** An ExportTraceServiceRequest in OTLP's JSON: ids in hex, 64-bit numbers as text. */
function requestOf(batch: readonly Span[], version: string): object {
  const resource = { attributes: attributesOf({ 'service.name': 'mintmark', 'service.version': version }) };
  return {
    resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'mintmark' }, spans: batch.map(spanOf) }] }],
  };
}

function spanOf(span: Span): object {
  const { traceId, spanId, parentSpanId, name, kind, link } = span;
  return {
    traceId,
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    name,
    kind,
    startTimeUnixNano: String(span.from),
    endTimeUnixNano: String(span.to),
    attributes: attributesOf({
      'mintmark.outcome': span.outcome,
      'mintmark.reason': span.reason,
      'mintmark.request_id': span.requestId,
    }),
    ...(link === undefined ? {} : { links: [link] }),
    status: span.reason === undefined ? {} : { code: errorStatus },
  };
}

function attributesOf(values: Readonly<Record<string, string | undefined>>): readonly object[] {
  return Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: { stringValue: value } }],
  );
}
