/** One stream of the SPIFFE Workload API, opened again and again until it is closed. */
import { type Client, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { readBundleMap } from './bundle-map.ts';

export interface BundleStreamOptions {
  readonly client: Client;
  readonly method: 'FetchJWTBundles' | 'FetchX509Bundles';
  /** The number of the field `bundles` in the method's response. */
  readonly fieldNumber: number;
  readonly firstBackoffMillis: number;
  /** Each message is the full state. */
  readonly onMessage: (bundles: ReadonlyMap<string, Uint8Array>) => void;
  readonly onLost: (error: Error) => void;
}

const maxBackoffMillis = 30_000;

/** Returns how to close it. Nothing is called after that. */
export function openBundleStream(options: BundleStreamOptions): () => void {
  const { client, method, fieldNumber, firstBackoffMillis, onMessage, onLost } = options;
  let isClosed = false;
  let failures = 0;
  let cancel = () => {};
  let retry: NodeJS.Timeout | undefined;

  function open(): void {
    const metadata = new Metadata();
    // SPIFFE Workload Endpoint §3: without it the agent refuses, so that no browser can be tricked into asking.
    metadata.set('workload.spiffe.io', 'true');
    const stream = client.makeServerStreamRequest(
      `/SpiffeWorkloadAPI/${method}`,
      () => Buffer.alloc(0), // the request has no fields
      (message: Buffer) => readBundleMap(message, fieldNumber),
      {},
      metadata,
    );
    cancel = () => stream.cancel();
    let isOver = false;
    const over = (error: Error) => {
      if (isOver || isClosed) return;
      isOver = true;
      failures += 1;
      onLost(error);
      // SPIFFE Workload API §4.1: this request will never be answered, so it is not made again.
      if ('code' in error && error.code === status.INVALID_ARGUMENT) return;
      const backoffMillis = Math.min(firstBackoffMillis * 2 ** Math.min(failures - 1, 16), maxBackoffMillis);
      retry = setTimeout(open, backoffMillis).unref();
    };
    stream.on('data', (bundles: ReadonlyMap<string, Uint8Array>) => {
      if (isOver || isClosed) return;
      failures = 0;
      onMessage(bundles);
    });
    stream.on('error', (error: ServiceError) => over(error));
    stream.on('end', () => over(new Error(`the agent has ended ${method}`)));
  }

  open();
  return () => {
    isClosed = true;
    clearTimeout(retry);
    cancel();
  };
}
