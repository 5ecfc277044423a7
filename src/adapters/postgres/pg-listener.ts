/** LISTEN on a connection of its own, made again after each loss. */
import pg from 'pg';
import { type Channel, channels, type OnBackgroundError, policyChannel } from './database.ts';

const firstDelayMillis = 250;
const longestDelayMillis = 10_000;

export interface Listener {
  listen(listener: () => void, channel?: Channel): () => void;
  close(): void;
}

/** Connects while somebody listens. After a reconnect it calls back, since a notice may have been missed meanwhile. */
export function listenWithReconnect(url: string, onError: OnBackgroundError): Listener {
  const listeners = new Set<{ readonly channel: Channel; readonly call: () => void }>();
  let client: pg.Client | undefined;
  let retry: NodeJS.Timeout | undefined;
  let delayMillis = firstDelayMillis;
  let isFirst = true;

  const notify = (channel?: string) => {
    for (const listener of listeners) {
      if (channel === undefined || listener.channel === channel) listener.call();
    }
  };

  const connect = () => {
    const opened = new pg.Client({
      connectionString: url,
      application_name: 'mintmark-listen',
      connectionTimeoutMillis: 5_000,
      query_timeout: 5_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    });
    client = opened;
    const lose = (error?: unknown) => {
      if (error !== undefined) onError(error);
      if (client !== opened) return;
      client = undefined;
      opened.end().catch(() => {});
      retry = setTimeout(connect, delayMillis).unref();
      delayMillis = Math.min(delayMillis * 2, longestDelayMillis);
    };
    opened.on('error', lose);
    opened.on('end', () => lose());
    opened.on('notification', ({ channel }) => notify(channel));
    opened
      .connect()
      .then(() => opened.query(channels.map((channel) => `listen ${channel}`).join('; ')))
      .then(() => {
        delayMillis = firstDelayMillis;
        if (!isFirst) notify();
        isFirst = false;
      }, lose);
  };

  const disconnect = () => {
    clearTimeout(retry);
    const opened = client;
    client = undefined;
    opened?.end().catch(() => {});
  };

  return {
    listen: (call, channel = policyChannel) => {
      const entry = { channel, call };
      listeners.add(entry);
      if (listeners.size === 1) connect();
      return () => {
        if (listeners.delete(entry) && listeners.size === 0) disconnect();
      };
    },
    close: () => {
      listeners.clear();
      disconnect();
    },
  };
}
