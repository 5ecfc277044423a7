/** A stand-in for a SPIFFE agent: a real gRPC server on a Unix socket, with another reading of Protocol Buffers than ours. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

export interface Bundles {
  /** By SPIFFE ID of the trust domain. */
  readonly jwt: Readonly<Record<string, unknown>>;
  readonly x509: Readonly<Record<string, Uint8Array>>;
}

export interface WorkloadApiDouble {
  readonly socket: string;
  /** Sent to each stream that is open, and first to each that opens. */
  publish(bundles: Bundles): void;
  /** Ends each stream that is open, and each that opens, with this code; undefined answers again. */
  refuseWith(code: number | undefined): void;
  /** How often a stream was asked for. */
  calls(): number;
  stop(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

type Stream = ServerWritableStream<unknown, unknown>;

export async function startWorkloadApiDouble(first: Bundles): Promise<WorkloadApiDouble> {
  const folder = mkdtempSync(join(tmpdir(), 'mintmark-agent-'));
  const socket = `unix://${join(folder, 'agent.sock')}`;
  const definition = loadSync(new URL('workload-api.proto', import.meta.url).pathname);
  const service = definition.SpiffeWorkloadAPI as ServiceDefinition;
  let bundles = first;
  let refusal: number | undefined;
  let calls = 0;
  const open = new Map<Stream, keyof Bundles>();

  function send(stream: Stream, kind: keyof Bundles): void {
    const entries = Object.entries(bundles[kind]).map(([id, value]) => [
      id,
      value instanceof Uint8Array
        ? value
        : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
    ]);
    stream.write({ crl: [Buffer.from('unused')], bundles: Object.fromEntries(entries) });
  }

  const refuse = (stream: Stream, code: number) =>
    void stream.emit('error', Object.assign(new Error('refused'), { code }));

  const handle = (kind: keyof Bundles) => (stream: Stream) => {
    calls += 1;
    const [header] = stream.metadata.get('workload.spiffe.io');
    const code = header === 'true' ? refusal : status.INVALID_ARGUMENT;
    if (code !== undefined) {
      refuse(stream, code);
      return;
    }
    open.set(stream, kind);
    stream.on('cancelled', () => open.delete(stream));
    send(stream, kind);
  };

  let server: Server;
  async function start(): Promise<void> {
    server = new Server();
    server.addService(service, { FetchJWTBundles: handle('jwt'), FetchX509Bundles: handle('x509') });
    await new Promise<void>((resolve, reject) =>
      server.bindAsync(socket, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      ),
    );
  }
  async function stop(): Promise<void> {
    open.clear();
    server.forceShutdown();
    rmSync(join(folder, 'agent.sock'), { force: true });
  }

  await start();
  return {
    socket,
    publish: (next) => {
      bundles = next;
      for (const [stream, kind] of open) send(stream, kind);
    },
    refuseWith: (code) => {
      refusal = code;
      if (code === undefined) return;
      for (const stream of open.keys()) refuse(stream, code);
      open.clear();
    },
    calls: () => calls,
    stop,
    start,
    close: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
