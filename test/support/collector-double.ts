/** An OpenTelemetry collector that reads OTLP over HTTP, JSON, and takes nothing else. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { z } from 'zod';

const traceId = z.string().regex(/^[0-9a-f]{32}$/);
const spanId = z.string().regex(/^[0-9a-f]{16}$/);
const nanoseconds = z.string().regex(/^\d{19}$/);
const attributes = z.array(
  z.strictObject({ key: z.string(), value: z.strictObject({ stringValue: z.string() }) }),
);
const spanSchema = z.strictObject({
  traceId,
  spanId,
  parentSpanId: spanId.optional(),
  name: z.string(),
  kind: z.int().min(1).max(5),
  startTimeUnixNano: nanoseconds,
  endTimeUnixNano: nanoseconds,
  attributes,
  links: z.array(z.strictObject({ traceId, spanId })).optional(),
  status: z.strictObject({ code: z.int().optional() }),
});
const requestSchema = z.strictObject({
  resourceSpans: z.array(
    z.strictObject({
      resource: z.strictObject({ attributes }),
      scopeSpans: z.array(
        z.strictObject({ scope: z.strictObject({ name: z.string() }), spans: z.array(spanSchema) }),
      ),
    }),
  ),
});
export type CollectedSpan = z.infer<typeof spanSchema>;

export interface CollectorDouble {
  readonly url: string;
  readonly spans: CollectedSpan[];
  /** All that came, as text. */
  text(): string;
  /** What it answers; 200 unless set. */
  status: number;
  close(): Promise<void>;
}

export async function startCollectorDouble(): Promise<CollectorDouble> {
  const spans: CollectedSpan[] = [];
  let text = '';
  const server = createServer(async (request, response) => {
    if (collector.status !== 200) return response.writeHead(collector.status).end();
    const isOurs = request.method === 'POST' && request.url === '/v1/traces';
    const body = requestSchema.safeParse(await json(request));
    if (!isOurs || !body.success) return response.writeHead(400).end();
    text += JSON.stringify(body.data);
    spans.push(...body.data.resourceSpans.flatMap((one) => one.scopeSpans.flatMap((scope) => scope.spans)));
    return response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const collector: CollectorDouble = {
    url: `http://127.0.0.1:${port}`,
    spans,
    text: () => text,
    status: 200,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return collector;
}
