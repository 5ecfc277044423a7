/** One-time credentials, rate counts, cached issuer keys and sealed tokens in Redis, shared among replicas. Every wait is short, and doubt is an error. */
import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import { OAuthError } from '../../core/error.ts';
import type { Clock, KeyCache, RateCounter, ReplayGuard, TokenCache } from '../../core/ports.ts';

export interface RedisConfig {
  /** `redis://` or `rediss://`. */
  readonly url: string;
  readonly clock: Clock;
  /** Told of connection losses that no caller waits for. Must not throw. */
  readonly onBackgroundError?: (error: unknown) => void;
}

export interface RedisStores {
  readonly replayGuard: ReplayGuard;
  readonly rateCounter: RateCounter;
  readonly keyCache: KeyCache;
  readonly tokenCache: TokenCache;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** INCR and PEXPIRE as one: a count whose expiry was lost between the two would never end. */
const incrementScript = `
local count = redis.call('INCR', KEYS[1])
if count == 1 or redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count`;

/** A claim stays this long past its expiry, so that a replica whose clock is slow still finds it. */
const graceMillis = 300_000;

const tokenWaitMillis = 50;

/** Takes the key unless it is held by the caller's clock: ARGV is now, the claim's end, and how long to keep it. */
const claimScript = `
local heldUntil = tonumber(redis.call('GET', KEYS[1]) or '0')
if heldUntil > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`;

/**
 * Waits a moment for the first connection, then returns whether it came or not: Redis being down is a matter of
 * readiness. Without a connection every call fails at once, and works again when Redis is back.
 */
export async function openRedis({ url, clock, onBackgroundError }: RedisConfig): Promise<RedisStores> {
  const { protocol } = new URL(url);
  if (protocol !== 'redis:' && protocol !== 'rediss:') {
    throw new Error(`REDIS_URL begins with redis:// or rediss://, not with ${protocol}//`);
  }
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 2_000,
    commandTimeout: 1_000,
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    // A claim that was sent twice would refuse its own first caller.
    autoResendUnfulfilledCommands: false,
    retryStrategy: (attempt) => Math.min(attempt * 100, 2_000),
    keepAlive: 10_000,
    connectionName: 'mintmark',
  });
  redis.on('error', (error) => onBackgroundError?.(error));
  await redis.connect().catch(() => {});
  return {
    replayGuard: {
      claim: async (key, expiresAt) => {
        const nowMillis = clock.now();
        const remainingMillis = Math.ceil(expiresAt - nowMillis);
        if (!(remainingMillis > 0)) return false;
        try {
          const times = [Math.floor(nowMillis), Math.ceil(expiresAt), remainingMillis + graceMillis];
          return (await redis.eval(claimScript, 1, redisKey('claim', key), ...times)) === 1;
        } catch (cause) {
          throw new OAuthError('server.replay_guard_unavailable', { cause });
        }
      },
    },
    rateCounter: {
      increment: async (key, windowSeconds) =>
        Number(await redis.eval(incrementScript, 1, redisKey('count', key), windowSeconds * 1000)),
    },
    keyCache: {
      get: async (name) => (await redis.get(redisKey('keys', name))) ?? undefined,
      put: async (name, value, ttlSeconds) => {
        await redis.set(redisKey('keys', name), value, 'PX', Math.ceil(ttlSeconds * 1000));
      },
    },
    tokenCache: {
      get: async (name) => (await inTime(redis.getBuffer(redisKey('tokens', name)))) ?? undefined,
      put: async (name, sealed, ttlSeconds) => {
        const ttlMillis = Math.ceil(ttlSeconds * 1000);
        await inTime(redis.set(redisKey('tokens', name), Buffer.from(sealed), 'PX', ttlMillis));
      },
    },
    ping: async () => {
      await redis.ping();
    },
    close: async () => {
      // QUIT waits for replies that are on their way; where there is no connection, there are none.
      await redis.quit().catch(() => redis.disconnect());
    },
  };
}

/** An exchange waits no longer for a token than it would take to sign one. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('Redis did not answer in time')), tokenWaitMillis);
  });
  return await Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

/** Hashed, so that no part of a credential is kept, and of one length whatever the caller sent. */
function redisKey(purpose: 'claim' | 'count' | 'keys' | 'tokens', key: string): string {
  return `mintmark:${purpose}:${createHash('sha256').update(key).digest('base64url')}`;
}
