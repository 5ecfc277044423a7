/** Which token may be handed out again in place of a new one: the one that would be signed, but for its times and its id. */
import { createHmac } from 'node:crypto';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import { Secret } from './secret.ts';
import type { MintedToken, TokenDraft } from './token.ts';

export interface ReuseTerms {
  /** The least that must be left of a token that is handed out again; undefined where none ever is. */
  readonly minRemainingSeconds: number | undefined;
  readonly policyRevision: number;
  /** Of the revocations that the caller was held against: what was minted under others is not handed out again. */
  readonly revocationEpoch: number;
  readonly nowMillis: number;
}

/** A token that was minted before, as read back from itself. */
export interface HeldToken {
  readonly accessToken: Secret<string>;
  readonly jti: string;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
}

/**
 * The name under which such tokens are kept. It is over everything that would be signed, so that a claim which is new to
 * this product keeps tokens apart as well: nobody has to remember to list it. As an HMAC it says nothing to a cache.
 */
export function reuseName(
  nameKey: Uint8Array,
  { header, claims, token }: TokenDraft,
  { policyRevision, revocationEpoch }: ReuseTerms,
): string {
  const { iat: _iat, exp: _exp, jti: _jti, ...lasting } = claims;
  return createHmac('sha256', nameKey)
    .update(canonical([header, lasting, token.tokenType, policyRevision, revocationEpoch]))
    .digest('base64url');
}

/** Whether enough is left of it, and it ends no later than the token that would be minted: neither may it outlive the credential. */
export function isReusable(
  held: HeldToken,
  draft: TokenDraft,
  minRemainingSeconds: number,
  nowMillis: number,
): boolean {
  const remainingMillis = held.expiresAt * 1000 - nowMillis;
  return remainingMillis >= minRemainingSeconds * 1000 && held.expiresAt <= draft.token.expiresAt;
}

/** The held token as an answer to this request. */
export function reused({ token }: TokenDraft, held: HeldToken, nowMillis: number): MintedToken {
  const { accessToken, jti, expiresAt } = held;
  const lifetimeSeconds = Math.floor(expiresAt - nowMillis / 1000);
  return { ...token, accessToken, jti, expiresAt, lifetimeSeconds, isReused: true };
}

/** How long a token may be kept: until less is left of it than must be. Zero or less where that is now. */
export function keepSeconds(
  { expiresAt }: HeldToken,
  minRemainingSeconds: number,
  nowMillis: number,
): number {
  return expiresAt - minRemainingSeconds - nowMillis / 1000;
}

/** Undefined for what is none of our tokens; its signature is not looked at, since nobody else could have sealed it. */
export function readHeldToken(text: string): HeldToken | undefined {
  const payload: unknown = JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString());
  if (!isJsonObject(payload)) return undefined;
  const { jti, exp } = payload;
  if (typeof jti !== 'string' || typeof exp !== 'number') return undefined;
  return { accessToken: new Secret(text), jti, expiresAt: exp };
}

/** JSON whose members are in one order, so that it does not matter in which a caller wrote its claims. */
function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const members = Object.entries(value satisfies JsonObject).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
}
