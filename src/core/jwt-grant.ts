/** JWT authorization grants (RFC 7523 §2.1 and §3): what another authorization server takes for its own token (identity chaining). */
import { randomUUID } from 'node:crypto';
import type { Signer } from './ports.ts';
import type { TokenDraft, TokenOrder } from './token.ts';

/** In seconds: it is exchanged at once, and who steals it must be too late. */
export const maxJwtGrantSeconds = 300;

export type GrantOrder = Omit<TokenOrder, 'clientId' | 'extraAudiences' | 'confirmation'>;

/** One grant for one authorization server. Its type keeps it from being an access token, here and for any reader of RFC 9068. */
export function draftJwtGrant(signer: Signer, order: GrantOrder): TokenDraft {
  const issuedAt = Math.floor(order.nowMillis / 1000);
  const expiresAt = issuedAt + order.lifetimeSeconds;
  const jti = randomUUID();
  const header = { typ: 'JWT', alg: signer.algorithm, kid: signer.kid };
  const claims = {
    ...order.addedClaims,
    iss: order.issuer,
    sub: order.subject,
    aud: order.audience, // alone, as a string: RFC 7523bis §3
    exp: expiresAt,
    iat: issuedAt,
    jti,
    ...(order.scopes.length === 0 ? {} : { scope: order.scopes.join(' ') }),
    ...(order.act === undefined ? {} : { act: order.act }),
  };
  const token = {
    tokenType: 'N_A', // RFC 8693 §2.2.1
    jti,
    kid: signer.kid,
    expiresAt,
    lifetimeSeconds: order.lifetimeSeconds,
    scopes: order.scopes,
    confirmation: undefined,
  } as const;
  return { header, claims, token };
}
