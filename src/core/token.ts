/** Access tokens of RFC 9068: their claims, and their assembly around a signature that only a `Signer` can make. */
import { randomUUID } from 'node:crypto';
import type { Act } from './delegation.ts';
import { OAuthError } from './error.ts';
import type { JsonObject } from './json.ts';
import type { Confirmation } from './own-token.ts';
import type { Signer } from './ports.ts';
import { Secret } from './secret.ts';
import type { SpiffeId } from './spiffe-id.ts';

export interface TokenOrder {
  readonly issuer: string;
  readonly subject: SpiffeId;
  /** Who asked for the token, where that is not its subject. */
  readonly clientId?: string | undefined;
  readonly audience: string;
  /** Stand after the audience in `aud`. */
  readonly extraAudiences: readonly string[];
  readonly scopes: readonly string[];
  readonly lifetimeSeconds: number;
  /** What the grants add; a claim of ours always wins over one of these. */
  readonly addedClaims: JsonObject;
  /** What the token is bound to (RFC 7800). */
  readonly confirmation?: Confirmation | undefined;
  /** Who acts for the subject. */
  readonly act?: Act | undefined;
  readonly nowMillis: number;
}

/** How the token is shown to its resource server; `N_A` is for what is no access token (RFC 8693 §2.2.1). */
export type TokenType = 'Bearer' | 'DPoP' | 'N_A';

export interface MintedToken {
  readonly accessToken: Secret<string>;
  readonly tokenType: TokenType;
  readonly jti: string;
  readonly kid: string;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
  readonly lifetimeSeconds: number;
  readonly scopes: readonly string[];
  /** Whether it was minted for an earlier exchange. */
  readonly isReused?: boolean;
  readonly confirmation: Confirmation | undefined;
}

/** A token that is not signed yet. */
export interface TokenDraft {
  readonly header: JsonObject;
  readonly claims: JsonObject;
  /** What it will be, but for its text. */
  readonly token: Omit<MintedToken, 'accessToken'>;
}

/** One token for one audience, for this signer to sign. */
export function draftAccessToken(signer: Signer, order: TokenOrder): TokenDraft {
  const issuedAt = Math.floor(order.nowMillis / 1000);
  const expiresAt = issuedAt + order.lifetimeSeconds;
  const jti = randomUUID();
  const claims = {
    ...order.addedClaims,
    iss: order.issuer,
    sub: order.subject,
    aud: order.extraAudiences.length === 0 ? order.audience : [order.audience, ...order.extraAudiences],
    exp: expiresAt,
    iat: issuedAt,
    jti,
    client_id: order.clientId ?? order.subject,
    ...(order.scopes.length === 0 ? {} : { scope: order.scopes.join(' ') }),
    ...(order.confirmation === undefined ? {} : { cnf: order.confirmation }),
    ...(order.act === undefined ? {} : { act: order.act }),
  };
  const header = { typ: 'at+jwt', alg: signer.algorithm, kid: signer.kid }; // RFC 9068 §2.1
  const token = {
    tokenType: order.confirmation !== undefined && 'jkt' in order.confirmation ? 'DPoP' : 'Bearer', // RFC 9449 §5
    jti,
    kid: signer.kid,
    expiresAt,
    lifetimeSeconds: order.lifetimeSeconds,
    scopes: order.scopes,
    confirmation: order.confirmation,
  } as const;
  return { header, claims, token };
}

/** Throws `server.signer_unavailable` or `server.overloaded` when no signature could be made. */
export async function signDraft(signer: Signer, { header, claims, token }: TokenDraft): Promise<MintedToken> {
  return { ...token, accessToken: new Secret(await signJwt(signer, header, claims)) };
}

/** Compact serialisation of RFC 7515 §3.1. Throws `server.signer_unavailable`. */
export async function signJwt(signer: Signer, header: JsonObject, claims: JsonObject): Promise<string> {
  const signingInput = `${encode(header)}.${encode(claims)}`;
  try {
    const signature = await signer.sign(Buffer.from(signingInput, 'ascii'));
    return `${signingInput}.${Buffer.from(signature).toString('base64url')}`;
  } catch (cause) {
    if (cause instanceof OAuthError) throw cause;
    throw new OAuthError('server.signer_unavailable', { cause });
  }
}

function encode(value: JsonObject): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
