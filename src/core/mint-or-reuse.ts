/** The last step of an exchange: signs the token, or finds one that was signed before and is as good. */
import type { Signer, TokenCache } from './ports.ts';
import { deriveKey, openSealedToken, sealToken } from './sealed-token.ts';
import type { Secret } from './secret.ts';
import { type MintedToken, signDraft, type TokenDraft } from './token.ts';
import {
  type HeldToken,
  isReusable,
  keepSeconds,
  type ReuseTerms,
  readHeldToken,
  reused,
  reuseName,
} from './token-reuse.ts';

export interface MintOrReuseParts {
  readonly keyEncryptionKey: Secret<Uint8Array>;
  /** The nearest first. */
  readonly caches: readonly TokenCache[];
}

/** Throws `server.signer_unavailable` when no signature could be made. What a cache does is never an error. */
export type MintOrReuse = (signer: Signer, draft: TokenDraft, terms: ReuseTerms) => Promise<MintedToken>;

/** How often a caller waits for what another is doing before it goes on by itself. */
const maxWaits = 3;

export function createMintOrReuse(parts: MintOrReuseParts): MintOrReuse {
  const { keyEncryptionKey, caches } = parts;
  const nameKey = deriveKey(keyEncryptionKey.reveal(), 'mintmark token reuse name 1');
  const sealKey = deriveKey(keyEncryptionKey.reveal(), 'mintmark token reuse seal 1');
  const underWay = new Map<string, Promise<MintedToken>>();

  const read = async (cache: TokenCache, name: string): Promise<HeldToken | undefined> => {
    const sealed = await cache.get(name);
    const text = sealed && openSealedToken(sealKey, name, sealed);
    return text === undefined ? undefined : readHeldToken(text);
  };

  /** Asks one cache after the other; what is found or minted goes to those that had nothing, or one that ends earlier. */
  async function findOrMint(
    name: string,
    signer: Signer,
    draft: TokenDraft,
    minRemainingSeconds: number,
    nowMillis: number,
  ): Promise<MintedToken> {
    const asked: { readonly cache: TokenCache; readonly heldUntil: number }[] = [];
    const keep = async (token: HeldToken) => {
      const seconds = keepSeconds(token, minRemainingSeconds, nowMillis);
      const lacking = asked.filter(({ heldUntil }) => heldUntil < token.expiresAt);
      if (!(seconds > 0) || lacking.length === 0) return;
      const sealed = sealToken(sealKey, name, token.accessToken);
      await Promise.allSettled(lacking.map(({ cache }) => cache.put(name, sealed, seconds)));
    };
    for (const cache of caches) {
      try {
        const held = await read(cache, name);
        if (held !== undefined && isReusable(held, draft, minRemainingSeconds, nowMillis)) {
          await keep(held);
          return reused(draft, held, nowMillis);
        }
        asked.push({ cache, heldUntil: held?.expiresAt ?? 0 });
      } catch {
        // It does not answer, so it is not told either.
      }
    }
    const token = await signDraft(signer, draft);
    await keep(token);
    return token;
  }

  return async (signer, draft, terms) => {
    const { minRemainingSeconds, nowMillis } = terms;
    if (minRemainingSeconds === undefined || draft.token.lifetimeSeconds < minRemainingSeconds) {
      return signDraft(signer, draft);
    }
    const name = reuseName(nameKey, draft, terms);
    // Callers at once make one signature; one whose credential ends earlier may not be able to take the other's token.
    for (let waits = 0; waits < maxWaits; waits++) {
      const others = underWay.get(name);
      if (others === undefined) break;
      const token = await others;
      if (isReusable(token, draft, minRemainingSeconds, nowMillis)) return reused(draft, token, nowMillis);
    }
    const own = findOrMint(name, signer, draft, minRemainingSeconds, nowMillis);
    underWay.set(name, own);
    try {
      return await own;
    } finally {
      if (underWay.get(name) === own) underWay.delete(name);
    }
  };
}
