/** Tokens that are handed out again: the same request gets the same token, and nothing that differs ever does. */
import fc from 'fast-check';
import { decodeJwt } from 'jose';
import { describe, expect, it } from 'vitest';
import { memoryTokenCache } from '../../src/adapters/memory/token-cache.ts';
import { OAuthError } from '../../src/core/error.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { createMintOrReuse, type MintOrReuseParts } from '../../src/core/mint-or-reuse.ts';
import type { Signer, TokenCache } from '../../src/core/ports.ts';
import { Secret } from '../../src/core/secret.ts';
import { parseSpiffeId } from '../../src/core/spiffe-id.ts';
import { draftAccessToken, type TokenDraft, type TokenOrder } from '../../src/core/token.ts';
import { countingSigner, exampleOrder } from '../support/token-drafts.ts';
import { testNowMillis, testNowSeconds } from '../support/tokens.ts';

const key = new Secret(new Uint8Array(32).fill(7));
const minRemainingSeconds = 120;

/** Two replicas at most: each call of `replica` makes one on the same shared cache. */
function installation(given: Partial<MintOrReuseParts> = {}) {
  let nowMillis = testNowMillis;
  const clock = { now: () => nowMillis };
  const signer = countingSigner();
  const kept = new Map<string, Uint8Array>();
  const puts: { name: string; seconds: number }[] = [];
  const cache: TokenCache = {
    get: async (name) => kept.get(name),
    put: async (name, sealed, seconds) => {
      kept.set(name, sealed);
      puts.push({ name, seconds });
    },
  };
  const replica = () => createMintOrReuse({ keyEncryptionKey: key, caches: [cache], ...given });
  const mintOrReuse = replica();
  return {
    signer,
    kept,
    puts,
    cache,
    clock,
    replica,
    advance: (millis: number) => {
      nowMillis += millis;
    },
    mint: (order: Partial<TokenOrder> = {}, by: Signer = signer, mint = mintOrReuse, policyRevision = 1) =>
      mint(by, draftAccessToken(by, { ...exampleOrder, nowMillis, ...order }), {
        minRemainingSeconds,
        policyRevision,
        revocationEpoch: 0,
        nowMillis,
      }),
  };
}

describe('the same request', () => {
  it('gets the same token, and is told how long it still lives', async () => {
    const { mint, signer, advance } = installation();
    const first = await mint();
    expect(first).not.toHaveProperty('isReused');
    advance(60_500);
    const again = await mint();
    expect(again).toEqual({ ...first, lifetimeSeconds: 539, isReused: true });
    expect(again.accessToken.reveal()).toBe(first.accessToken.reveal());
    expect(decodeJwt(again.accessToken.reveal())).toMatchObject({ jti: again.jti, exp: again.expiresAt });
    expect(signer.count()).toBe(1);
  });

  it('gets it however its claims are ordered', async () => {
    const { mint, signer } = installation();
    await mint({ addedClaims: { a: 1, b: { c: 2, d: [3, 4] } } });
    expect(await mint({ addedClaims: { b: { d: [3, 4], c: 2 }, a: 1 } })).toMatchObject({ isReused: true });
    expect(await mint({ addedClaims: { a: 1, b: { c: 2, d: [4, 3] } } })).not.toHaveProperty('isReused');
    expect(signer.count()).toBe(2);
  });

  it.each([
    ['has exactly as much left as it must', 480_000, true],
    ['has a millisecond less', 480_001, false],
    ['is over', 600_000, false],
  ])('gets a token that %s: %i ms later, %s', async (_what, millis, isReused) => {
    const { mint, advance } = installation();
    const first = await mint();
    advance(millis);
    expect((await mint()).jti === first.jti).toBe(isReused);
  });

  it('gets no token that would outlive its credential or a grant, and leaves it to those who may', async () => {
    const { mint, signer, advance } = installation();
    const first = await mint();
    expect(await mint({ lifetimeSeconds: 600 })).toMatchObject({ jti: first.jti });
    const short = await mint({ lifetimeSeconds: 599 });
    expect(short).toMatchObject({ expiresAt: testNowSeconds + 599 });
    expect(short).not.toHaveProperty('isReused');
    expect(await mint()).toMatchObject({ jti: first.jti });
    advance(1_000);
    expect(await mint({ lifetimeSeconds: 599 })).toMatchObject({ jti: first.jti, lifetimeSeconds: 599 });
    expect(signer.count()).toBe(2);
  });

  it('is minted without a look at the cache where too little could be left, and where nothing is reused', async () => {
    const asked: string[] = [];
    const cache = { get: async (name: string) => void asked.push(name), put: async () => {} };
    const { mint, replica, signer } = installation({ caches: [cache as TokenCache] });
    await mint({ lifetimeSeconds: 119 });
    const terms = {
      minRemainingSeconds: undefined,
      policyRevision: 1,
      revocationEpoch: 0,
      nowMillis: testNowMillis,
    };
    await replica()(signer, draftAccessToken(signer, exampleOrder), terms);
    expect(asked).toEqual([]);
    await mint({ lifetimeSeconds: 121 });
    expect(asked).toHaveLength(1);
  });

  it('is kept for no longer than it may be handed out', async () => {
    const { mint, puts } = installation();
    await mint();
    expect(puts).toEqual([{ name: expect.any(String), seconds: 480 }]);
    await mint({ lifetimeSeconds: 120, audience: 'other' });
    expect(puts).toHaveLength(1);
  });
});

describe('a request that differs', () => {
  const spiffeId = fc
    .constantFrom('orders', 'payments', 'a/b')
    .map((path) => parseSpiffeId(`spiffe://prod.test/${path}`) ?? expect.unreachable());
  const word = fc.constantFrom('a', 'b', 'a b', 'ab', '', '1');
  const json = fc
    .jsonValue({ maxDepth: 2 })
    .map((value): JsonObject[string] => JSON.parse(JSON.stringify(value)));
  const fields = {
    issuer: word,
    subject: spiffeId,
    clientId: fc.option(spiffeId, { nil: undefined }),
    audience: word,
    extraAudiences: fc.array(word, { maxLength: 2 }),
    scopes: fc.array(fc.constantFrom('r', 'w', 'rw'), { maxLength: 2 }),
    addedClaims: fc.dictionary(fc.constantFrom('tenant', 'act', 'a', 'b'), json, {
      maxKeys: 2,
      noNullPrototype: true,
    }),
    confirmation: fc.option(
      fc.oneof(
        word.map((jkt) => ({ jkt })),
        word.map((thumbprint) => ({ 'x5t#S256': thumbprint })),
      ),
      { nil: undefined },
    ),
    kid: fc.constantFrom('k1', 'k2'),
    algorithm: fc.constantFrom('ES256' as const, 'PS256' as const),
    typ: fc.constantFrom('at+jwt', 'JWT'),
    act: fc.option(json, { nil: undefined }),
    policyRevision: fc.nat(3),
    epoch: fc.nat(3),
    keyEncryptionKey: fc.constantFrom(key, new Secret(new Uint8Array(32).fill(8))),
  };
  type Case = { [K in keyof typeof fields]: (typeof fields)[K] extends fc.Arbitrary<infer T> ? T : never };

  /** As the room of another founder might: a claim that this test and the product's own list know nothing of. */
  const draftOf = (signer: Signer, { typ, act, clientId, confirmation, ...order }: Case): TokenDraft => {
    const { header, claims, token } = draftAccessToken(signer, {
      ...exampleOrder,
      ...order,
      clientId,
      confirmation,
    });
    return { header: { ...header, typ }, claims: act === undefined ? claims : { ...claims, act }, token };
  };
  const signed = (
    { header, claims: { iat, exp, jti, ...claims }, token }: TokenDraft,
    { policyRevision, epoch }: Case,
  ) => [header, claims, token.tokenType, policyRevision, epoch] as const;

  const signer = countingSigner();
  const share = async (a: Case, b: Case) => {
    const { cache } = installation();
    const mint = async (given: Case) => {
      const by = signer.named(given.kid, given.algorithm);
      const { keyEncryptionKey, policyRevision, epoch } = given;
      const mintOrReuse = createMintOrReuse({
        keyEncryptionKey,
        caches: [cache],
      });
      const draft = draftOf(by, given);
      const token = await mintOrReuse(by, draft, {
        minRemainingSeconds,
        policyRevision,
        revocationEpoch: epoch,
        nowMillis: testNowMillis,
      });
      return { token, signed: signed(draft, given) };
    };
    const [first, second] = [await mint(a), await mint(b)];
    return { isShared: first.token.jti === second.token.jti, first, second };
  };

  it.each(Object.keys(fields) as (keyof typeof fields)[])(
    'in %s alone never gets the other’s token',
    async (field) => {
      let differed = 0;
      await fc.assert(
        fc.asyncProperty(fc.record(fields), fields[field] as fc.Arbitrary<unknown>, async (a, value) => {
          const b = { ...a, [field]: value } as Case;
          const { isShared, first, second } = await share(a, b);
          const isSame =
            a.keyEncryptionKey === b.keyEncryptionKey &&
            canonicalText(first.signed) === canonicalText(second.signed);
          if (!isSame) differed++;
          expect(isShared).toBe(isSame);
        }),
        { numRuns: 60, seed: 20261124 },
      );
      expect(differed).toBeGreaterThan(5);
    },
  );

  it('in anything never gets the other’s token', async () => {
    await fc.assert(
      fc.asyncProperty(fc.record(fields), fc.record(fields), async (a, b) => {
        const { isShared, first, second } = await share(a, b);
        const isSame =
          a.keyEncryptionKey === b.keyEncryptionKey &&
          canonicalText(first.signed) === canonicalText(second.signed);
        expect(isShared).toBe(isSame);
      }),
      { numRuns: 300, seed: 20261124 },
    );
  });

  /** Another way to the same text than the product's. */
  function canonicalText(value: unknown): string {
    return JSON.stringify(value, (_name, member) =>
      typeof member === 'object' && member !== null && !Array.isArray(member)
        ? Object.keys(member)
            .sort()
            .map((name) => [name, member[name]])
        : member,
    );
  }
});

describe('callers at once', () => {
  it('make one signature, however many they are', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const slow = countingSigner(() => promise);
    const { mint } = installation();
    const all = Array.from({ length: 200 }, () => mint({}, slow));
    setTimeout(resolve, 20);
    const tokens = await Promise.all(all);
    expect(slow.count()).toBe(1);
    expect(new Set(tokens.map(({ accessToken }) => accessToken.reveal())).size).toBe(1);
    expect(tokens.filter(({ isReused }) => isReused)).toHaveLength(199);
  });

  it('whose credentials end earlier share one that ends as early', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const slow = countingSigner(() => promise);
    const { mint } = installation();
    const all = Array.from({ length: 50 }, (_, index) =>
      mint({ lifetimeSeconds: index % 2 ? 600 : 300 }, slow),
    );
    setTimeout(resolve, 20);
    const tokens = await Promise.all(all);
    expect(slow.count()).toBeLessThanOrEqual(2);
    tokens.forEach((token, index) => {
      expect(token.expiresAt).toBeLessThanOrEqual(testNowSeconds + (index % 2 ? 600 : 300));
    });
  });

  it('all fail where the signature fails, and the next one tries again', async () => {
    let isBroken = true;
    const broken = countingSigner(async () => {
      if (isBroken) throw new Error('broken');
    });
    const { mint } = installation();
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => mint({}, broken)));
    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: { reason: 'server.signer_unavailable' } });
      expect(result.status === 'rejected' && result.reason).toBeInstanceOf(OAuthError);
    }
    expect(broken.count()).toBe(1);
    isBroken = false;
    expect(await mint({}, broken)).not.toHaveProperty('isReused');
  });
});

describe('a cache', () => {
  it('is asked after the one before it, which learns what it holds', async () => {
    const far = installation();
    const near = [memoryTokenCache(far.clock), memoryTokenCache(far.clock)] as const;
    let asked = 0;
    const counted: TokenCache = {
      ...far.cache,
      get: (name) => {
        asked++;
        return far.cache.get(name);
      },
    };
    const replicas = near.map((cache) =>
      createMintOrReuse({ keyEncryptionKey: key, caches: [cache, counted] }),
    );
    const jtis = [];
    for (const index of [0, 0, 1, 1, 0]) jtis.push((await far.mint({}, far.signer, replicas[index])).jti);
    expect(new Set(jtis).size).toBe(1);
    expect(far.signer.count()).toBe(1);
    expect(asked).toBe(2);
  });

  const gone = (): Promise<never> => Promise.reject(new Error('gone'));
  it.each<[string, TokenCache]>([
    ['fails', { get: gone, put: gone }],
    ['takes nothing', { get: async () => undefined, put: gone }],
  ])('that %s costs a signature and no exchange', async (_what, cache) => {
    const { mint, signer } = installation({ caches: [cache] });
    expect((await mint()).jti).not.toBe((await mint()).jti);
    expect(signer.count()).toBe(2);
  });

  it('that fails is not told of the token either', async () => {
    let puts = 0;
    const put = async () => void puts++;
    const { mint } = installation({ caches: [{ get: gone, put }] });
    await mint();
    expect(puts).toBe(0);
  });

  it('holds nothing that can be read: no token, no claim, and never the same bytes twice', async () => {
    const [one, two] = [installation(), installation()];
    const tokens = [await one.mint(), await two.mint()];
    const held = [one, two].map(({ kept }) =>
      [...kept].flatMap(([name, sealed]) => [name, Buffer.from(sealed).toString('latin1')]),
    );
    for (const text of held.flat()) {
      for (const token of tokens) {
        for (const part of token.accessToken.reveal().split('.')) expect(text).not.toContain(part);
      }
      expect(text).not.toContain('acme');
    }
    expect(held[0]?.[0]).toBe(held[1]?.[0]);
    expect(held[0]?.[1]).not.toBe(held[1]?.[1]);
  });

  it('that was tampered with has nothing: every changed byte, and what belongs to another name', async () => {
    const { mint, kept, signer } = installation();
    const first = await mint();
    const [[name, sealed] = expect.unreachable()] = kept;
    expect((await mint()).jti).toBe(first.jti);
    const altered = [
      ...Array.from(sealed, (byte, index) => sealed.with(index, byte ^ 1)),
      sealed.subarray(0, 29),
      sealed.subarray(0, 28),
      new Uint8Array(),
      Buffer.concat([sealed, Buffer.of(0)]),
      Buffer.from(first.accessToken.reveal()),
    ];
    for (const bytes of altered) {
      kept.set(name, bytes);
      expect(await mint()).not.toHaveProperty('isReused');
    }
    await mint({ audience: 'https://other.test' });
    const other = [...kept.keys()].find((another) => another !== name) ?? expect.unreachable();
    kept.set(other, sealed);
    const fresh = await mint({ audience: 'https://other.test' });
    expect(decodeJwt(fresh.accessToken.reveal()).aud).toBe('https://other.test');
    expect(fresh).not.toHaveProperty('isReused');
    expect(signer.count()).toBe(altered.length + 3);
  });
});
