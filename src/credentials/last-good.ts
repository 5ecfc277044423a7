/** The last good document of one source, kept in a cache over restarts and sealed against whoever can write there. */

/*
 * With keys of their own in the cache, an attacker could sign anything. So each entry is sealed: HMAC-SHA-256 over its
 * source and its bytes, under a key derived from the key-encryption key, which the cache never sees. What an attacker
 * with the cache alone can still do is to take an entry away, which makes a cold start, or to put back an older one of
 * the same source; it counts for no longer than it would have counted then, and a process that runs has taken a newer
 * one already. The entries hold public keys only, so they are not encrypted.
 *
 * A trust domain that was set up anew, and counts its spiffe_sequence from the beginning, is refused over restarts too:
 * a change to what its document says of the bundle makes it another source.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { isJsonObject } from '../core/json.ts';
import type { KeyCache } from '../core/ports.ts';
import { deriveKey } from '../core/sealed-token.ts';
import type { Secret } from '../core/secret.ts';

export interface GoodDocument {
  /** As it was fetched. */
  readonly text: string;
  /** When it was fetched, in milliseconds since the epoch. */
  readonly at: number;
  readonly freshForSeconds: number;
  /** `spiffe_sequence` in decimal digits, where there is one. */
  readonly sequence?: string;
}

export interface LastGood {
  /** Rejects when the cache cannot be read or the entry was not written by us for this source. */
  load(): Promise<GoodDocument | undefined>;
  save(document: GoodDocument): Promise<void>;
}

/** Longer than any document may be served: its spiffe_sequence has to be remembered after its keys stopped counting. */
const keptSeconds = 30 * 86_400;
const sealBytes = 32;

/**
 * Opens the last-good documents of a cache; each source has its own, by `source`. What was sealed under the previous
 * key-encryption key, where there is one, counts too.
 */
export function openLastGoods(
  cache: KeyCache,
  keyEncryptionKey: Secret<Uint8Array>,
  previous?: Secret<Uint8Array>,
): (source: string) => LastGood {
  const sealUnder = (key: Secret<Uint8Array>) => {
    const sealKey = deriveKey(key.reveal(), 'mintmark key cache 1');
    return (source: string, body: string) =>
      createHmac('sha256', sealKey)
        .update(JSON.stringify([source, body]))
        .digest();
  };
  const sealOf = sealUnder(keyEncryptionKey);
  const seals = previous === undefined ? [sealOf] : [sealOf, sealUnder(previous)];

  return (source) => {
    async function load(): Promise<GoodDocument | undefined> {
      const entry = await cache.get(source);
      if (entry === undefined) return undefined;
      const seal = Buffer.from(entry.slice(0, entry.indexOf('.')), 'base64url');
      const body = entry.slice(entry.indexOf('.') + 1);
      if (seal.length !== sealBytes || !seals.some((made) => timingSafeEqual(seal, made(source, body)))) {
        throw new Error('the cached document is not one that this installation wrote');
      }
      return readBody(body);
    }

    return {
      load,
      save: async (document) => {
        // A replica whose endpoint lags must not make the others forget a newer bundle. An unreadable entry is replaced.
        const kept = await load().catch(() => undefined);
        if (kept?.sequence !== undefined && BigInt(kept.sequence) > BigInt(document.sequence ?? 0)) return;
        const body = JSON.stringify(document);
        await cache.put(source, `${sealOf(source, body).toString('base64url')}.${body}`, keptSeconds);
      },
    };
  };
}

function readBody(body: string): GoodDocument {
  const value: unknown = JSON.parse(body);
  if (!isJsonObject(value)) throw new Error('the cached document cannot be read');
  const { text, at, freshForSeconds, sequence } = value;
  if (typeof text !== 'string' || typeof at !== 'number' || typeof freshForSeconds !== 'number') {
    throw new Error('the cached document cannot be read');
  }
  return { text, at, freshForSeconds, ...(typeof sequence === 'string' ? { sequence } : {}) };
}
