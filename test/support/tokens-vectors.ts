/** Runs a platform's vectors.json through the real verifier, each claim set signed for real. */
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../../src/core/json.ts';
import type { Platform } from '../../src/core/platform.ts';
import { jwksOf, makeKey, signToken } from './tokens.ts';
import { makeIssuer, ownTrustDomain, verifierFor } from './tokens-policy.ts';

/** Claim sets as changes to a genuine one; a claim that is changed to null is left out. */
export interface Vectors {
  readonly issuer: string;
  readonly require?: Readonly<Record<string, string>>;
  /** What the document accepts, where it is not our own issuer. */
  readonly audiences?: readonly string[];
  readonly header: JsonObject;
  readonly claims: JsonObject;
  readonly accepted: readonly { readonly name: string; readonly change: object; readonly path: string }[];
  readonly refused: readonly { readonly name: string; readonly change: object; readonly reason: string }[];
}

export function describeVectors(platform: Platform, vectors: Vectors): void {
  describe(`vectors of ${platform.name}`, async () => {
    const key = await makeKey('vector-key', platform.algorithms[0]);
    const issuer = makeIssuer({
      name: 'vector',
      platform,
      issuerUrl: vectors.issuer,
      keys: { jwks: jwksOf(key) },
      ...(vectors.audiences === undefined ? {} : { audiences: vectors.audiences }),
      require: Object.entries(vectors.require ?? {}).map(([path, value]) => ({ path, values: [value] })),
    });
    const verify = verifierFor(issuer);
    const present = async (change: object) => {
      const claims = { iss: vectors.issuer, ...withoutNulls({ ...vectors.claims, ...change }) };
      const token = await signToken(key, claims, { ...vectors.header, typ: vectors.header.typ ?? undefined });
      return await verify(token);
    };

    it.each(vectors.accepted)('accepts $name', async ({ change, path }) => {
      const identity = await present(change);
      expect(identity.spiffeId).toBe(`spiffe://${ownTrustDomain}${path}`);
    });

    it.each(vectors.refused)('refuses $name', async ({ change, reason }) => {
      await expect(present(change)).rejects.toMatchObject({ reason });
    });
  });
}

function withoutNulls(claims: object): Record<string, Json> {
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== null));
}
