/** Signing keys in a PKCS #11 token: made there, used there and destroyed there; the store keeps their names. */
import { randomUUID } from 'node:crypto';
import type { TokenAlgorithm } from '../../core/algorithm.ts';
import { type KeyRingConfig, openKeyRing } from '../../core/key-ring.ts';
import type { HeldKey, KeyHolder, StoredKey, TurningKeyRing } from '../../core/ports.ts';
import { publicJwkOf } from '../../core/public-jwk.ts';
import { provesItself } from './proof.ts';
import type { Token } from './token.ts';

export interface TokenKeysConfig extends KeyRingConfig {
  readonly token: Token;
  /** CKA_LABEL of all keys of this ring and of no others: what bears it and is not in the store is destroyed. */
  readonly label: string;
  readonly log: (message: string, details: object) => void;
}

/** Rejects, and says so, where the token does not hold a stored key, or not as we made it. */
export function openTokenKeys(config: TokenKeysConfig): Promise<TurningKeyRing> {
  return openKeyRing(tokenKeyHolder(config), config);
}

/** Of what the store keeps in place of a wrapped private key; 1 is a key that is held in software. */
const handleVersion = 2;
const sweepEveryMillis = 60_000;
/** How long a key must have been seen in no store before it is destroyed: another replica may be about to store it. */
const orphanMillis = 3_600_000;

function tokenKeyHolder({ token, label, log }: TokenKeysConfig): KeyHolder {
  const orphanedSince = new Map<string, number>();
  let sweptAt = Number.NEGATIVE_INFINITY;

  async function open(id: string, algorithm: TokenAlgorithm): Promise<HeldKey> {
    const key = { label, id, algorithm };
    const sign = (input: Uint8Array) => token.sign({ ...key, input });
    const members = await token.publicMembers(key);
    const publicJwk = publicJwkOf(members, algorithm);
    if (!(await provesItself(members, algorithm, sign))) {
      throw new Error(`signing key ${publicJwk.kid} does not verify what the token signs with it`);
    }
    return { publicJwk, signer: { kid: publicJwk.kid, algorithm, sign } };
  }

  async function sweep(stored: readonly StoredKey[], nowMillis: number): Promise<void> {
    const known = new Set(stored.map(idOf));
    const orphans = (await token.ids({ label })).filter((id) => !known.has(id));
    for (const id of orphanedSince.keys()) if (!orphans.includes(id)) orphanedSince.delete(id);
    for (const id of orphans) {
      const since = orphanedSince.get(id) ?? nowMillis;
      orphanedSince.set(id, since);
      if (nowMillis < since + orphanMillis) continue;
      await token.destroy({ label, id });
      orphanedSince.delete(id);
      log('a signing key that left the key set was destroyed in the token', { id });
    }
  }

  return {
    make: async (algorithm, nowMillis) => {
      const id = `${algorithm}-${randomUUID()}`;
      await token.make({ label, id, algorithm });
      const { publicJwk } = await open(id, algorithm);
      return {
        kid: publicJwk.kid,
        algorithm,
        state: 'next',
        publicJwk,
        wrappedPrivateKey: Buffer.concat([Buffer.of(handleVersion), Buffer.from(id)]),
        createdAt: nowMillis,
        activatesAt: nowMillis,
      };
    },
    open: async (stored) => {
      const id = idOf(stored);
      // The id names its algorithm, so that no RSA key can be made to sign by the other one of its two.
      if (!id?.startsWith(`${stored.algorithm}-`)) {
        throw new Error(`signing key ${stored.kid} was not made for ${stored.algorithm} in a token`);
      }
      try {
        return await open(id, stored.algorithm);
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : 'error';
        throw new Error(`signing key ${stored.kid} cannot be used in the token: ${why}`, { cause });
      }
    },
    keepOnly: async (stored, nowMillis) => {
      if (nowMillis < sweptAt + sweepEveryMillis) return;
      sweptAt = nowMillis;
      await sweep(stored, nowMillis).catch((error) =>
        log('keys of the token could not be looked through', { err: error }),
      );
    },
  };
}

function idOf({ wrappedPrivateKey }: StoredKey): string | undefined {
  if (wrappedPrivateKey[0] !== handleVersion) return undefined;
  return Buffer.from(wrappedPrivateKey.subarray(1)).toString();
}
