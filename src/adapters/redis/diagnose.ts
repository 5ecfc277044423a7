/** What an operator asks of a Redis before a server runs on it. */
import { Redis } from 'ioredis';

export interface RedisDiagnosis {
  /** undefined: this user may not ask. */
  readonly evictionPolicy: string | undefined;
  /** Its clock, in milliseconds since the epoch. */
  readonly nowMillis: number;
}

/** Rejects where it cannot be reached. */
export async function diagnoseRedis(url: string): Promise<RedisDiagnosis> {
  const redis = new Redis(url, { lazyConnect: true, connectTimeout: 5_000, retryStrategy: () => null });
  redis.on('error', () => {}); // told to whoever waits for the connection
  try {
    await redis.connect();
    const [seconds = '0', micros = '0'] = await redis.time();
    const config = await redis.config('GET', 'maxmemory-policy').catch(() => undefined);
    const policy = Array.isArray(config) ? config[1] : undefined;
    return {
      evictionPolicy: typeof policy === 'string' ? policy : undefined,
      nowMillis: Number(seconds) * 1000 + Number(micros) / 1000,
    };
  } finally {
    redis.disconnect();
  }
}
