/** The SPIFFE Workload API of a local agent as a source of bundles: one connection a socket, however many watch it. */
import { Client, credentials } from '@grpc/grpc-js';
import type { BundleState, WatchBundles } from '../../core/ports.ts';
import { bundleTexts } from './bundle-text.ts';
import { openBundleStream } from './stream.ts';

type Watcher = (state: BundleState) => void;

interface Endpoint {
  readonly watchers: Set<Watcher>;
  readonly state: () => BundleState;
  readonly close: () => void;
}

interface Received {
  readonly bundles: ReadonlyMap<string, Uint8Array>;
  readonly isLive: boolean;
}

/** Opens the port. A socket is connected to while somebody watches it. */
export function openWorkloadApi({ firstBackoffMillis = 1000 } = {}): WatchBundles {
  const endpoints = new Map<string, Endpoint>();
  return (socket, watcher) => {
    const endpoint = endpoints.get(socket) ?? openEndpoint(socket, firstBackoffMillis);
    endpoints.set(socket, endpoint);
    endpoint.watchers.add(watcher);
    watcher(endpoint.state());
    return () => {
      if (!endpoint.watchers.delete(watcher) || endpoint.watchers.size > 0) return;
      endpoints.delete(socket);
      endpoint.close();
    };
  };
}

function openEndpoint(socket: string, firstBackoffMillis: number): Endpoint {
  const client = new Client(socket, credentials.createInsecure(), {
    'grpc.enable_http_proxy': 0,
    'grpc.initial_reconnect_backoff_ms': firstBackoffMillis,
    'grpc.max_reconnect_backoff_ms': 30_000,
    'grpc.max_receive_message_length': 4 * 1024 * 1024,
  });
  const watchers = new Set<Watcher>();
  let jwt: Received | undefined;
  let x509: Received | undefined;
  let bundles: ReadonlyMap<string, string> | undefined;
  let problem: unknown;

  const state = (): BundleState => ({
    bundles,
    isLive: jwt?.isLive === true && x509?.isLive === true,
    problem,
  });

  function tell(): void {
    // Half a state would look as if the other half had been revoked.
    bundles = jwt && x509 && bundleTexts(jwt.bundles, x509.bundles);
    if (jwt?.isLive === true && x509?.isLive === true) problem = undefined;
    for (const watcher of watchers) watcher(state());
  }

  const shared = { client, firstBackoffMillis };
  const closers = [
    openBundleStream({
      ...shared,
      method: 'FetchJWTBundles',
      fieldNumber: 1,
      onMessage: (received) => {
        jwt = { bundles: received, isLive: true };
        tell();
      },
      onLost: (error) => {
        jwt = jwt && { ...jwt, isLive: false };
        problem = error;
        tell();
      },
    }),
    openBundleStream({
      ...shared,
      method: 'FetchX509Bundles',
      fieldNumber: 2,
      onMessage: (received) => {
        x509 = { bundles: received, isLive: true };
        tell();
      },
      onLost: (error) => {
        x509 = x509 && { ...x509, isLive: false };
        problem = error;
        tell();
      },
    }),
  ];
  return {
    watchers,
    state,
    close: () => {
      for (const close of closers) close();
      client.close();
    },
  };
}
